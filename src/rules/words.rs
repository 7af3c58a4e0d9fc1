//! Whether a word is one that is in use, so that who wrote it meant it: `tax` is one, `bax` is a slip.
//!
//! In use is what Odoo, the addons at hand or the addon itself name anything by, what their views and texts say, and the short words of
//! English, which names are made of and which sources need not have.

use super::Case;
use crate::odoo::source::ModuleFacts;

/// Odoo models whose records are named by codes of countries, currencies and languages, which are no words.
const CODED: [&str; 6] = ["res.country", "res.country.state", "res.country.group", "res.currency", "res.lang", "res.bank"];
/// The prefix of what belongs to one country; its code follows.
const COUNTRY: &str = "l10n";
/// From this length on the words of views count: shorter ones are mostly of style sheets.
const SHOWN: usize = 4;
/// Below this length a word must be in use in more than one addon.
const CODE: usize = 3;
/// English words of two and three letters.
const SHORT: &str = "ad ago age aid aim air all and any arc arm art ask at axe bag ban bar bat bay bed bee bet bid big bin bit box boy bug \
    bus but buy by bye cab can cap car cat cop cow cry cup cut dam day den dew did die dig dim dip dog dot dry due dye ear eat egg ego end \
    eye fan far fat fax fed fee few fig fin fit fix fly fog for fox fun fur gap gas get go god gum gun guy gym ham has hat hay he her hid \
    him hip his hit hot how hub hut ice if ill in ink inn is it its jam jar jaw jet job jog joy jug key kid kin kit lab lap law lay leg let \
    lid lie lip lit log lot low mad man map mat may men met mid mix mob mop mud mug my nap net new no nor not now nut oak odd of off oil \
    old on one or ore our out owe own pad pan pay pea peg pen per pet pie pig pin pit pot pro pub put ram ran rat raw ray red rib rid rig \
    rim rip rob rod row rub rug run sad sap sat saw say sea see set sew she shy sin sip sir sit six ski sky so son sow spa sum sun tab tag \
    tan tap tar tax tea ten the tie tin tip to toe ton too top toy try tub two up us use van vat via vow war was wax way we web wed wet who \
    why win wit yes yet you zip zoo";

/// Whether the word, a part of the name `wrong` that does not exist, is in use anywhere else.
pub(super) fn is_word(case: &Case<'_>, wrong: &str, word: &str) -> bool {
    let word = word.to_lowercase();
    let is_short = word.chars().count() < SHOWN;
    if is_short && (!case.index.knows_core() || SHORT.split_whitespace().any(|known| known == word)) {
        return true;
    }
    let named = |(name, facts): &(&str, &ModuleFacts)| {
        !name.starts_with("l10n_") && (has(name, wrong, &word) || names(facts, wrong, &word) || (!is_short && shows(facts, wrong, &word)))
    };
    // Two letters that one addon alone has are mostly a code: `check_vat_mx`.
    let least = if word.chars().count() < CODE { 2 } else { 1 };
    case.index.modules().filter(named).take(least).count() == least || is_written(case, wrong, &word)
}

/// Whether a name, other than the one that is wrong, has the word among its parts.
fn has(name: &str, wrong: &str, word: &str) -> bool {
    let is_part = |name: &str| {
        let mut before = "";
        name.split(['_', '.']).filter(|part| !part.is_empty()).any(|part| {
            let found = before != COUNTRY && part.eq_ignore_ascii_case(word);
            before = part;
            found
        })
    };
    name != wrong && name.len() >= word.len() && is_part(name)
}

fn names(facts: &ModuleFacts, wrong: &str, word: &str) -> bool {
    let of_class = |class: &crate::odoo::source::Class| {
        let members = class.fields.keys().chain(class.methods.keys()).map(String::as_str);
        members.chain([class.odoo_model.as_str()]).any(|name| has(name, wrong, word))
    };
    let records = facts.records.iter().filter(|(_, record)| !CODED.contains(&record.odoo_model.as_str()));
    facts.classes.iter().any(of_class) || records.into_iter().any(|(name, _)| has(name, wrong, word))
}

fn shows(facts: &ModuleFacts, wrong: &str, word: &str) -> bool {
    facts.views.values().any(|view| says(&view.arch, wrong, word))
}

/// Whether the addon's own sources and texts have the word by itself.
fn is_written(case: &Case<'_>, wrong: &str, word: &str) -> bool {
    let texts =
        case.addon.files().filter(|(path, bytes)| !path.within_module().starts_with("i18n/") && bytes.len() <= super::edit::MAX_FILE);
    texts.filter_map(|(_, bytes)| std::str::from_utf8(bytes).ok()).any(|text| says(text, wrong, word))
}

/// Whether a text has the word by itself, in any case of letters, outside of the wrong name.
fn says(text: &str, wrong: &str, word: &str) -> bool {
    let written = |name: &str| name.replace('.', "_");
    let bare = written(wrong.strip_prefix("model_").unwrap_or(wrong));
    // Where the name is the word itself, each mention of it may be the slip; in other letters it is said in prose.
    let is_slip = |part: &str| bare == word && part == word;
    let names = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).filter(|name| name.len() >= word.len());
    // A name with dots is looked at as a whole first, so that the wrong one is not taken for its words.
    let others = names.filter(|name| bare == word || !written(name).trim_end_matches('_').ends_with(&bare));
    others.flat_map(|name| name.split('.')).any(|part| part.eq_ignore_ascii_case(word) && !is_slip(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_other_names_are_words() {
        assert!(has("price_tax", "amount_tax", "tax"));
        assert!(has("mail.Thread", "x", "thread"));
        for (name, wrong) in [("price_mx", "price_mx"), ("l10n_mx_code", "price_mx"), ("mxs", "price_mx")] {
            assert!(!has(name, wrong, "mx"), "{name}");
        }
    }

    #[test]
    fn prose_says_words_and_the_wrong_name_does_not() {
        assert!(says("# The Close of a day.", "action_close", "close"));
        assert!(says("string=\"Close\" name=\"close\"", "close", "close"));
        for (text, wrong, word) in [
            ("a,post.bax,model_post_bax,base.group_user", "model_post_bax", "bax"),
            ("self.env['post.bax']", "post.bax", "bax"),
            ("<field name=\"emial\"/>", "emial", "emial"),
            ("price_mx_old", "price_mx", "mx"),
        ] {
            assert!(!says(text, wrong, word), "{text}");
        }
    }
}
