//! What was measured, as Markdown: every number and every verdict is computed from the runs.

use chrono::Utc;

use super::leaks::Leaks;
use super::machine::Machine;
use super::{Measured, Round, Timed};

/// How many times faster than the naive run a verification is to be: on base alone, and on something deeper.
const TIMES_BASE: f64 = 6.0;
const TIMES_DEEPER: f64 = 10.0;
/// How many times the floor's loading it may take.
const TIMES_FLOOR: f64 = 1.5;

impl Timed {
    /// What is not tests.
    fn loading(&self) -> f64 {
        self.seconds - self.parts.tests
    }
}

impl Round {
    /// The most seconds that a verification may take: the floor's loading with a surcharge, and the tests as the floor ran them.
    fn allowed(&self) -> f64 {
        TIMES_FLOOR * self.floor.loading() + self.floor.parts.tests
    }
}

impl Measured {
    /// The median over the rounds; of pairs, what was measured together stays together.
    fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        super::super::median(self.rounds.iter().map(of).collect())
    }

    /// The run of median length, whole, so that its parts sum up.
    fn typical(&self, of: impl Fn(&Round) -> &Timed) -> Option<&Timed> {
        let mut runs: Vec<&Timed> = self.rounds.iter().map(of).collect();
        runs.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
        runs.get(runs.len() / 2).copied()
    }

    /// How deep it stands: what the naive run, which had to install everything, installed.
    fn depth(&self) -> (&'static str, usize) {
        let installed = self.rounds.first().map(|round| round.naive.installed.as_slice()).unwrap_or_default();
        let has = |module: &str| installed.iter().any(|name| name == module);
        let name = ["product", "mail"].into_iter().find(|module| has(module)).unwrap_or("base");
        (name, installed.len())
    }

    /// How many tests ran in every run, and how many of them failed in the naive one.
    fn tests(&self) -> String {
        match self.rounds.first().map(|round| (round.naive.tests, round.naive.failed)) {
            Some((tests, 0)) => tests.to_string(),
            Some((tests, failed)) => format!("{tests}; {failed} fail in the naive run"),
            None => String::new(),
        }
    }

    fn ratio(&self, of: impl Fn(&Round) -> &Timed) -> f64 {
        self.median(|round| round.naive.seconds / of(round).seconds)
    }

    /// How far beyond what is allowed; negative is within.
    fn beyond(&self, of: impl Fn(&Round) -> &Timed) -> f64 {
        self.median(|round| of(round).seconds - round.allowed())
    }
}

/// Everything, ready to be read.
pub fn render(machine: &Machine, measured: &[Measured], leaks: &Leaks) -> String {
    let rounds = measured.first().map_or(0, |first| first.rounds.len());
    let date = Utc::now().format("%Y-%m-%d");
    let head = format!("Measured {date} by `odoo-agent bench sandbox`, median of {rounds} round(s): {machine}.");
    [head, wholes(measured), splits(measured), leftovers(leaks), verdicts(measured, leaks)].join("\n\n")
}

fn wholes(measured: &[Measured]) -> String {
    let mut lines = vec![
        "| addon | stands on | tests | naive | ours, waiting | ours, second | ours, empty pool | naive ÷ waiting | naive ÷ second | naive ÷ empty | floor | waiting ÷ floor | 1.5 × (floor − tests) + tests | waiting within | second within |".to_owned(),
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    for addon in measured {
        let (depth, modules) = addon.depth();
        let seconds = |of: fn(&Round) -> &Timed| format!("{:.1} s", addon.median(|round| of(round).seconds));
        lines.push(format!(
            "| {} | {depth}, {modules} modules | {} | {} | {} | {} | {} | **{:.1}** | {:.1} | {:.1} | {} | {:.2} | {:.1} s | {} | {} |",
            addon.module,
            addon.tests(),
            seconds(|round| &round.naive),
            seconds(|round| &round.waiting),
            seconds(|round| &round.second),
            seconds(|round| &round.empty),
            addon.ratio(|round| &round.waiting),
            addon.ratio(|round| &round.second),
            addon.ratio(|round| &round.empty),
            seconds(|round| &round.floor),
            addon.median(|round| round.waiting.seconds / round.floor.seconds),
            addon.median(Round::allowed),
            yes(addon.beyond(|round| &round.waiting) <= 0.0),
            yes(addon.beyond(|round| &round.second) <= 0.0),
        ));
    }
    lines.join("\n")
}

/// The parts of the run of median length, in seconds.
fn splits(measured: &[Measured]) -> String {
    let mut lines = vec![
        "| seconds | run | engine | database | registry | install | tests | rest | whole |".to_owned(),
        "|---|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    for addon in measured {
        for (index, (name, _)) in addon.rounds.first().into_iter().flat_map(|round| round.runs().into_iter().enumerate()) {
            let Some(run) = addon.typical(|round| round.runs()[index].1) else { continue };
            // What the clocks of log and process differ by may leave a part a hair below zero.
            let parts = run.parts.all().map(|part| format!("{:.2}", part.max(0.0))).join(" | ");
            lines.push(format!("| {} | {name} | {parts} | {:.2} |", addon.module, run.seconds));
        }
    }
    lines.join("\n")
}

fn leftovers(leaks: &Leaks) -> String {
    let [containers, volumes, networks] = leaks.left();
    let (before, first, after) = (&leaks.before, &leaks.first, &leaks.after);
    format!(
        "After {} verifications in a row, each in a sandbox of its own: {containers} containers, {volumes} volumes and {networks} networks left; \
         {} control groups without their container; memory of this process {:.1} MB before, {:.1} MB after the first, {:.1} MB after the \
         last; files in the machine's memory {:.0} MB before, {:.0} MB after.",
        leaks.times,
        leaks.orphans(),
        before.own_mb,
        first.own_mb,
        after.own_mb,
        before.shared_mb,
        after.shared_mb,
    )
}

fn verdicts(measured: &[Measured], leaks: &Leaks) -> String {
    let (shallow, deeper): (Vec<&Measured>, Vec<&Measured>) = measured.iter().partition(|addon| addon.depth().0 == "base");
    let times = |addons: &[&Measured], least: f64| {
        let told = |addon: &&Measured| (addon.ratio(|round| &round.waiting), addon.module.to_string());
        verdict(addons.iter().map(told), |ratio| ratio >= least)
    };
    let all: Vec<&Measured> = measured.iter().collect();
    let floor = |of: fn(&Round) -> &Timed| {
        let told = |addon: &&Measured| (addon.median(|round| of(round).seconds / round.allowed()), addon.module.to_string());
        verdict(all.iter().map(told), |share| share <= 1.0)
    };
    [
        "| to be reached | reached |".to_owned(),
        "|---|---|".to_owned(),
        format!("| at least {TIMES_BASE} times faster than the naive run, on base only | {} |", times(&shallow, TIMES_BASE)),
        format!("| at least {TIMES_DEEPER} times, on product or mail | {} |", times(&deeper, TIMES_DEEPER)),
        format!("| at most {TIMES_FLOOR} times the floor plus the tests; share of that, waiting | {} |", floor(|round| &round.waiting)),
        format!("| the same, second candidate | {} |", floor(|round| &round.second)),
        format!(
            "| {} verifications in a row leave no container, volume, network or memory | {} |",
            leaks.times,
            yes(leaks.is_clean() && leaks.is_free_of_memory())
        ),
    ]
    .join("\n")
}

/// How many of them hold, and each by its number.
fn verdict(numbers: impl Iterator<Item = (f64, String)>, holds: impl Fn(f64) -> bool) -> String {
    let numbers: Vec<(f64, String)> = numbers.collect();
    if numbers.is_empty() {
        return "not measured".to_owned();
    }
    let told = numbers.iter().map(|(number, name)| format!("{name} {number:.2}{}", if holds(*number) { "" } else { " ✗" }));
    let told = told.collect::<Vec<_>>().join(", ");
    match numbers.iter().filter(|(number, _)| holds(*number)).count() {
        0 => format!("no: {told}"),
        some if some < numbers.len() => format!("by {some} of {}: {told}", numbers.len()),
        _ => format!("yes: {told}"),
    }
}

fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::super::leaks::Stock;
    use super::super::timeline::Parts;
    use super::*;

    fn timed(install: f64, tests: f64, installed: &[&str]) -> Timed {
        let parts = Parts { engine: 0.5, install, tests, ..Parts::default() };
        Timed { seconds: parts.sum(), parts, tests: 7, failed: 0, installed: installed.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn measured(module: &str, naive: &[f64], installed: &[&str]) -> Measured {
        let round = |seconds: &f64| Round {
            naive: timed(seconds - 1.5, 1.0, installed),
            waiting: timed(0.5, 1.0, &[module]),
            second: timed(2.5, 1.0, &[module]),
            empty: timed(4.5, 1.0, &[module]),
            floor: timed(0.5, 1.0, &[]),
        };
        Measured { module: module.parse().unwrap(), rounds: naive.iter().map(round).collect() }
    }

    #[test]
    fn verdicts_follow_from_the_numbers() {
        let all = [measured("a", &[12.0, 20.0, 13.0], &["base", "a"]), measured("b", &[18.0], &["base", "mail", "product", "b"])];
        let text = [wholes(&all), verdicts(&all, &Leaks::default())].join("\n");
        assert!(text.contains("| a | base, 2 modules | 7 | 13.0 s | 2.0 s | 4.0 s | 6.0 s | **6.5** |"), "{text}");
        assert!(text.contains("| 2.5 s | yes | no |"), "{text}");
        assert!(text.contains("on base only | yes: a 6.50 |") && text.contains("product or mail | no: b 9.00 ✗ |"), "{text}");
        assert!(verdicts(&all[..1], &Leaks::default()).contains("product or mail | not measured |"));
    }

    #[test]
    fn split_has_a_line_for_every_run() {
        let text = splits(&[measured("a", &[12.0, 20.0, 13.0], &["base", "a"])]);
        assert_eq!(text.lines().count(), 2 + 5);
        assert!(text.contains("| a | naive | 0.50 | 0.00 | 0.00 | 11.50 | 1.00 | 0.00 | 13.00 |"), "{text}");
    }

    #[test]
    fn leak_is_told() {
        let left = Stock { containers: ["c".to_owned()].into(), ..Stock::default() };
        let leaks = Leaks { times: 20, after: left, ..Leaks::default() };
        assert!(leftovers(&leaks).contains("1 containers") && verdicts(&[], &leaks).contains("| no |"));
    }
}
