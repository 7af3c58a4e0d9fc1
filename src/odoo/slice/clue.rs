//! What the words of an exception say of the value that was wrong.

use super::super::cut;
use super::super::pattern::Pattern;

const MESSAGE_MAX: usize = 4_000;

static ATTRIBUTE: Pattern = Pattern::new(r"has no attribute '(\w+)'");
static OPERANDS: Pattern = Pattern::new(r"operand type\(s\) for ([^:\s]+)(?: or \S+)?: '([\w.]+)' and '([\w.]+)'");
static COMPARED: Pattern = Pattern::new(r"'(\S+)' not supported between instances of '([\w.]+)' and '([\w.]+)'");
static KEY: Pattern = Pattern::new(r#"^['"]?([\w.]+)['"]?$"#);
static COLUMN: Pattern = Pattern::new(r#"null value in column "(\w+)""#);
static RELATION: Pattern = Pattern::new(r#"of relation "(\w+)""#);

/// The use that the value was not fit for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clue {
    /// It was iterated over.
    Iterated,
    /// An item of it was asked for or set.
    Subscripted,
    /// It has no attribute of this name.
    Attribute(String),
    /// It does not consist of as many parts as were asked for.
    Unpacked,
    /// It stands beside this operator; whether the left and the right side may be it.
    Operand(String, bool, bool),
    /// It is what `in` was asked of.
    Contained,
    /// It was called.
    Called,
    /// It has no such key.
    Key(String),
    /// A column was left empty.
    Column(String),
    /// A function did not take it.
    Argument,
    /// Somebody looked at it and raised the exception.
    Raised,
}

/// The table that a column was left empty in.
pub(super) fn relation(message: &str) -> Option<&str> {
    RELATION.first(cut::head(message, MESSAGE_MAX))
}

/// The types of values that stand for "nothing came back".
fn is_nothing(kind: &str) -> bool {
    matches!(kind, "NoneType" | "bool")
}

impl Clue {
    pub(super) fn of(exception: &str, message: &str) -> Self {
        let message = cut::head(message, MESSAGE_MAX);
        let exception = exception.rsplit('.').next().unwrap_or_default();
        if let Some(column) = COLUMN.first(message) {
            return Self::Column(column.to_owned());
        }
        if exception == "KeyError" {
            let key = KEY.first(message.lines().next().unwrap_or_default()).unwrap_or_default();
            return Self::Key(key.to_owned());
        }
        if let Some(attribute) = ATTRIBUTE.first(message) {
            return Self::Attribute(attribute.to_owned());
        }
        let between = OPERANDS.groups::<3>(message).or_else(|| COMPARED.groups::<3>(message));
        if let Some([operator, left, right]) = between {
            let (first, second) = (is_nothing(left), is_nothing(right));
            return Self::Operand(operator.trim_end_matches('=').to_owned(), first || !second, second || !first);
        }
        let words: [(&str, Self); 13] = [
            ("can only concatenate", Self::Operand("+".to_owned(), false, true)),
            ("argument after *", Self::Iterated),
            ("values to unpack", Self::Unpacked),
            ("cannot unpack", Self::Unpacked),
            ("argument of type", Self::Contained),
            ("is not a container", Self::Contained),
            ("is not iterable", Self::Iterated),
            ("can only join an iterable", Self::Iterated),
            ("not subscriptable", Self::Subscripted),
            ("does not support item", Self::Subscripted),
            ("index out of range", Self::Subscripted),
            ("is not callable", Self::Called),
            ("got multiple values", Self::Argument),
        ];
        if let Some((_, clue)) = words.into_iter().find(|(word, _)| message.contains(word)) {
            return clue;
        }
        if matches!(exception, "TypeError" | "ValueError" | "AttributeError" | "IndexError") { Self::Argument } else { Self::Raised }
    }
}

impl Clue {
    /// How well the source of a method fits what is wrong with its value.
    pub(super) fn fits(&self, text: &str) -> f32 {
        let lines = || text.lines().map(str::trim_start);
        match self {
            Self::Key(key) | Self::Column(key) if key.chars().any(char::is_alphabetic) => {
                let (single, double) = (format!("'{key}'"), format!("\"{key}\""));
                let makes = lines().any(|line| {
                    [&single, &double].into_iter().any(|key| line.contains(&format!("{key}:")) || line.contains(&format!("[{key}] =")))
                });
                if makes {
                    1.0
                } else if text.contains(&single) || text.contains(&double) || text.contains(&format!("{key}=")) {
                    0.8
                } else {
                    0.55
                }
            }
            Self::Unpacked if lines().any(|line| line.starts_with("return ") && !line.contains(',') && !line.contains('(')) => 0.9,
            _ => 1.0,
        }
    }
}

/// Whether an error looks as if a value had been wrong before it came to the place where it was raised: nothing instead of something, too
/// few parts, a key or a column that should have been filled. Of any other error the place itself is more likely at fault.
pub fn is_silent(exception: &str, message: &str) -> bool {
    let message = cut::head(message, MESSAGE_MAX);
    let exception = exception.rsplit('.').next().unwrap_or_default();
    // They print records and users, and mean what they say.
    if matches!(exception, "MissingError" | "AccessError" | "AccessDenied") {
        return false;
    }
    let mut words = message.split(|c: char| !c.is_alphanumeric());
    let nothing = words.any(|word| matches!(word, "None" | "NoneType" | "bool") || (word == "False" && exception == "TypeError"));
    // A key with dots is the name of an Odoo model that is not there.
    let is_value = |key: &str| !key.contains('.');
    nothing
        || match Clue::of(exception, message) {
            Clue::Key(key) => is_value(&key),
            clue => matches!(clue, Clue::Unpacked | Clue::Column(_)),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_the_use() {
        let of = |exception: &str, message: &str| Clue::of(exception, message);
        assert_eq!(of("AttributeError", "'NoneType' object has no attribute 'items'"), Clue::Attribute("items".into()));
        assert_eq!(of("TypeError", "unsupported operand type(s) for +=: 'NoneType' and 'list'"), Clue::Operand("+".into(), true, false));
        assert_eq!(
            of("TypeError", "'<=' not supported between instances of 'datetime.date' and 'bool'"),
            Clue::Operand("<".into(), false, true)
        );
        assert_eq!(of("KeyError", "'tax_ids'"), Clue::Key("tax_ids".into()));
        assert_eq!(of("psycopg2.errors.NotNullViolation", "null value in column \"date_to\" of relation"), Clue::Column("date_to".into()));
        assert_eq!(of("TypeError", "argument of type 'NoneType' is not iterable"), Clue::Contained);
        assert_eq!(of("odoo.exceptions.UserError", "Strategy None is not known."), Clue::Raised);
    }

    #[test]
    fn a_silent_fault_shows_nothing() {
        assert!(is_silent("TypeError", "'NoneType' object is not iterable"));
        assert!(is_silent("odoo.exceptions.UserError", "Strategy None is not known."));
        assert!(is_silent("ValueError", "not enough values to unpack (expected 2, got 1)"));
        assert!(!is_silent("ValueError", "Expected singleton: stock.move(91, 92)"));
        assert!(is_silent("TypeError", "can only concatenate str (not \"bool\") to str"));
        assert!(!is_silent("KeyError", "'library.loan'"));
        assert!(!is_silent("AttributeError", "'list' object has no attribute 'get'"));
    }
}
