//! The ticket of a run: Markdown for a person. The log text in it is fenced: it is a stranger's.

use std::fmt::Write;

use super::Told;
use crate::cascade::{Attempt, Reproduction};
use crate::domain::{Evidence, FixOutcome, Hunk};

impl Told<'_> {
    pub(super) fn body(&self, place: Option<&str>) -> String {
        let mut body = format!("**Cause:** {}\n\n", inline(&self.error.title));
        // Writing to a String cannot fail.
        let _ = writeln!(body, "**Where:** {}\n", place.map_or("unknown".to_owned(), inline));
        let _ =
            writeln!(body, "**Class:** `{}`; Odoo {}; reproduced: {}\n", self.error.class.as_str(), self.version, yes_no(self.reproduced));
        let question = match self.outcome {
            FixOutcome::Fixed => "Why it was not applied",
            FixOutcome::Proposed => "Why it is only proposed",
            FixOutcome::Ticket => "Why it was not mended",
        };
        let why = self.why().unwrap_or_else(|| {
            "It could not be written: the sources have changed since it was proven, or the files are protected.".to_owned()
        });
        let _ = writeln!(body, "**{question}:** {}\n", plain(&why));
        if let (Some(evidence), Some(source)) = (self.judged(), self.source) {
            let about = if self.outcome == FixOutcome::Fixed { "The fix" } else { "The proposed patch" };
            let grade = evidence.grade.as_str();
            let _ = writeln!(body, "**{about}** ({source}, {grade}, confidence {:.2}): {}\n", self.confidence, plain(self.summary));
            judgement(&mut body, evidence, &self.reservations());
        }
        if !self.suspects.is_empty() {
            body.push_str("**Look at:**\n\n");
            for suspect in self.suspects {
                let _ = writeln!(body, "- {}: {}", inline(&suspect.place.to_string()), plain(&suspect.why));
            }
            body.push('\n');
        }
        if !self.attempts.is_empty() {
            body.push_str("**Tried:**\n\n");
            for attempt in self.attempts {
                let _ = writeln!(body, "- {} ({}): {}", plain(&attempt.summary), attempt.source, fate(attempt));
            }
            body.push('\n');
        }
        if let (FixOutcome::Ticket, Some(patch)) = (self.outcome, self.patch) {
            let _ = writeln!(body, "**What came nearest, and did not mend it:**\n\n{}\n", fenced("diff", &patch.unified_diff()));
        }
        if let Some(Reproduction { test, path: Some(path), text: Some(text), .. }) = self.reproduction {
            let _ = writeln!(body, "**A test that shows the error** (`{test}`, to be added as `{path}`):\n\n{}\n", fenced("text", text));
        }
        let _ = write!(body, "**Log:**\n\n{}\n", fenced("text", &self.error.text));
        body
    }
}

/// What a person has to weigh before the patch is applied.
fn judgement(body: &mut String, evidence: &Evidence, reservations: &[String]) {
    let losses = evidence.losses.iter().map(|loss| format!("{}: {}", inline(&loss.place.to_string()), plain(&loss.what)));
    list(body, "It loses", losses);
    list(body, "Not sure", reservations.iter().map(|why| plain(why)));
    list(body, "Newly failing", evidence.new_failures.iter().map(|failure| inline(failure)));
    let not_run = evidence.hunks.iter().filter(|hunk| hunk.exercised.is_none()).map(place_of);
    list(body, "Changed and not run by anything", not_run);
}

fn list(body: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<_> = lines.map(|line| format!("- {line}\n")).collect();
    if !lines.is_empty() {
        let _ = writeln!(body, "**{title}:**\n\n{}", lines.concat());
    }
}

fn place_of(hunk: &Hunk) -> String {
    let last = hunk.line + hunk.lines.saturating_sub(1);
    if last > hunk.line { format!("`{}:{}-{last}`", hunk.path, hunk.line) } else { format!("`{}:{}`", hunk.path, hunk.line) }
}

/// What became of an attempt.
fn fate(attempt: &Attempt) -> String {
    if !attempt.forbidden.is_empty() {
        return format!("not run, because a person must decide: {}", inline(&attempt.forbidden.join("; ")));
    }
    let grade = attempt.evidence.grade.as_str();
    if attempt.evidence.new_failures.is_empty() {
        grade.to_owned()
    } else {
        format!("{grade}; new: {}", inline(&attempt.evidence.new_failures.join("; ")))
    }
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// Log text inside a sentence: one line, and no markup of its own.
fn inline(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect();
    format!("`{}`", line.replace('`', "'"))
}

/// Words that Claude or a log may have had a part in, as words: no link, no picture that calls home, no heading, no tag.
fn plain(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '[' | ']' | '\\' => line.extend(['\\', c]),
            '<' => line.push_str("&lt;"),
            c if c.is_control() => line.push(' '),
            c => line.push(c),
        }
    }
    line
}

/// Log text as a block: the fence is longer than any run of back-ticks in it, so that it cannot be closed from inside.
fn fenced(kind: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{kind}\n{}\n{fence}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Location, Loss, LossKind, Need};

    #[test]
    fn log_text_cannot_close_its_fence() {
        let block = fenced("text", "a\n```\n# not a heading\n````\n");
        assert!(block.starts_with("`````text\n") && block.ends_with("\n`````"));
    }

    #[test]
    fn words_are_no_markup() {
        assert_eq!(plain("![x](http://evil/?q)\n# <img src=x>"), "!\\[x\\](http://evil/?q) # &lt;img src=x>");
        assert_eq!(inline("m/`a`.py:3"), "`m/'a'.py:3`");
    }

    #[test]
    fn what_a_person_has_to_weigh_is_listed() {
        let hunk = |line, lines, exercised: Option<&str>| Hunk {
            path: "m/a.py".parse().unwrap(),
            line,
            lines,
            exercised: exercised.map(str::to_owned),
            need: Need::Untried,
        };
        let evidence = Evidence {
            losses: vec![Loss {
                kind: LossKind::Value,
                place: Location { path: "m/a.py".to_owned(), line: Some(7) },
                what: "the mobile number is no longer written".to_owned(),
            }],
            hunks: vec![hunk(3, 2, None), hunk(9, 0, None), hunk(12, 1, Some("test TestA.test_b"))],
            ..Evidence::default()
        };
        let mut body = String::new();
        judgement(&mut body, &evidence, &["the field is wider".to_owned()]);
        assert_eq!(
            body,
            "**It loses:**\n\n- `m/a.py:7`: the mobile number is no longer written\n\n**Not sure:**\n\n- the field is wider\n\n\
             **Changed and not run by anything:**\n\n- `m/a.py:3-4`\n- `m/a.py:9`\n\n"
        );
    }
}
