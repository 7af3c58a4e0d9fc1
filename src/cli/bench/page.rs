//! A page that takes a result between two marks, so that what people wrote around it stays.

use std::path::Path;

/// The text with what stands between the marks of `name` replaced.
fn insert(text: &str, name: &str, result: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- bench {name}: begin -->"), format!("<!-- bench {name}: end -->"));
    let marks = text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) =
        marks.ok_or_else(|| anyhow::anyhow!("the file needs the lines {begin} and {end}, between which the result goes"))?;
    Ok(format!("{before}{begin}\n{result}\n{end}{after}"))
}

/// Whether the file can take the result. Measuring takes minutes, so it is better known before.
pub fn check(file: &Path, name: &str) -> anyhow::Result<()> {
    insert(&std::fs::read_to_string(file)?, name, "").map(drop)
}

/// Writes the result into the file.
pub fn write(file: &Path, name: &str, result: &str) -> anyhow::Result<()> {
    let whole = insert(&std::fs::read_to_string(file)?, name, result)?;
    std::fs::write(file, whole)?;
    super::show::line(&format!("  written     {}", file.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_replaces_what_stands_between_its_marks() {
        let text = "a\n<!-- bench x: begin -->\nold\n<!-- bench x: end -->\nb\n";
        let new = insert(text, "x", "new").unwrap();
        assert_eq!(new, text.replace("old", "new"));
        assert_eq!(insert(&new, "x", "new").unwrap(), new);
        for text in ["", "<!-- bench x: end --><!-- bench x: begin -->", "<!-- bench x: begin -->"] {
            assert!(insert(text, "x", "new").is_err(), "{text}");
        }
        assert!(insert(text, "y", "new").is_err());
    }
}
