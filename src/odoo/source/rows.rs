//! The rows of a CSV file with their lines.

/// The most columns that are looked at.
const MAX_COLUMNS: usize = 200;

/// A CSV file, as far as it can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The names of its columns.
    pub head: Vec<String>,
    /// What follows.
    pub rows: Vec<Row>,
    /// Why it ends before its end.
    pub trouble: Option<String>,
}

/// One row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Its cells, without the blanks around them.
    pub cells: Vec<String>,
    /// Its first line, counted from 1.
    pub first: u32,
    /// Its last line: a cell may have several.
    pub last: u32,
}

impl Rows {
    /// Reads a file.
    pub fn of(text: &str) -> Self {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let cells = |record: &csv::StringRecord| record.iter().take(MAX_COLUMNS).map(|cell| cell.trim().to_owned()).collect();
        let mut found = Self { head: reader.headers().map(cells).unwrap_or_default(), ..Self::default() };
        let mut record = csv::StringRecord::new();
        let (mut at, mut line) = (0, 1);
        loop {
            match reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    found.trouble = Some(format!("its rows cannot be read: {error}"));
                    break;
                }
            }
            // A row is said to begin where the one before it ends: before the rest of a line break, and before empty lines.
            let begin = record.position().and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(at);
            let blank = text.get(begin..).map_or(0, |rest| rest.len() - rest.trim_start_matches(['\r', '\n']).len());
            let passed = text.as_bytes().get(at..begin + blank).unwrap_or_default();
            line += count(passed.iter().filter(|byte| **byte == b'\n').count());
            at = begin + blank;
            let breaks = record.iter().map(|cell| cell.matches('\n').count()).sum();
            found.rows.push(Row { cells: cells(&record), first: line, last: line.saturating_add(count(breaks)) });
        }
        found
    }

    /// The place of a column that has one of these names.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        self.head.iter().position(|name| names.contains(&name.as_str()))
    }
}

impl Row {
    /// A cell; empty where there is none.
    pub fn get(&self, column: Option<usize>) -> &str {
        column.and_then(|column| self.cells.get(column)).map(String::as_str).unwrap_or_default()
    }
}

fn count(lines: usize) -> u32 {
    u32::try_from(lines).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_file() {
        for text in ["id,name\na,\"1\n2\"\n\n\nb, 3 \n", "id,name\r\na,\"1\r\n2\"\r\n\r\n\r\nb, 3 \r\n"] {
            let rows = Rows::of(text);
            let lines: Vec<_> = rows.rows.iter().map(|row| (row.first, row.last)).collect();
            assert_eq!((lines, rows.rows[1].get(rows.column(&["x", "name"]))), (vec![(2, 3), (6, 6)], "3"), "{text:?}");
        }
    }

    #[test]
    fn garbage_ends_early() {
        for text in ["", "\n", "\"", "a\n\"", "\r\r\n,", "a,b\n\u{0}"] {
            assert!(Rows::of(text).rows.len() <= 2);
        }
    }
}
