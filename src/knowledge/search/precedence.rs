//! Of what is known of one error, what a person said stands first, and what was proven before tickets that nobody has answered; however each
//! was found and however good its record is. Texts of the two sorts are compared each with their like, so their scores do not tell this.
//!
//! Errors are the same as groups have it: another way into an error is none of its own. Only tickets move; nothing else gets another score.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::found::Candidate;
use crate::db::{DbError, TenantTx};

/// What a text has to say of its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// What a person said mended it.
    Said,
    Proven,
    Tried,
    /// A ticket that nobody has answered.
    Unanswered,
}

/// A text by the group of its error or, if none counts it, the fingerprint.
type Known = HashMap<Uuid, (String, Standing)>;

/// The same answers, those about one error in this order.
pub(super) async fn by_word_and_proof(
    tx: &mut TenantTx,
    ranked: Vec<Candidate>,
    loaded: &HashMap<Uuid, PgRow>,
) -> Result<Vec<Candidate>, DbError> {
    let is = |row: &PgRow, kind: &str| row.try_get("kind").is_ok_and(|found: &str| found == kind);
    if !loaded.values().any(|row| is(row, "ticket")) {
        return Ok(ranked);
    }
    let ids: Vec<Uuid> = loaded.iter().filter(|(_, row)| is(row, "ticket") || is(row, "fix")).map(|(id, _)| *id).collect();
    let rows = sqlx::query!(
        r#"select k.id as "id!", coalesce(f.group_id::text, k.fingerprint) as "error!", k.kind = 'ticket' as "is_ticket!",
                  k.made_by ->> 'said' is not null as "is_said!", coalesce(k.grade = 'proven', false) as "is_proven!"
             from tenant_knowledge k
             left join error_fingerprints f on f.tenant_id = k.tenant_id and f.fingerprint = k.fingerprint
            where k.id = any($1) and k.fingerprint is not null"#,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let standing = |row: (bool, bool, bool)| match row {
        (true, true, _) => Standing::Said,
        (true, false, _) => Standing::Unanswered,
        (false, _, true) => Standing::Proven,
        (false, _, false) => Standing::Tried,
    };
    let known = rows.into_iter().map(|row| (row.id, (row.error, standing((row.is_ticket, row.is_said, row.is_proven))))).collect();
    Ok(in_order(ranked, &known))
}

fn in_order(mut ranked: Vec<Candidate>, known: &Known) -> Vec<Candidate> {
    let of = |candidate: &Candidate| known.get(&candidate.id);
    for at in (0..ranked.len()).rev() {
        let Some((error, Standing::Unanswered)) = of(&ranked[at]) else { continue };
        let is_proof = |other: &Candidate| of(other).is_some_and(|(of, standing)| of == error && *standing == Standing::Proven);
        let Some(proof) = ranked.iter().skip(at).position(is_proof).map(|after| at + after) else { continue };
        let mut ticket = ranked.remove(at);
        // What was behind it has moved up by one.
        ticket.score = ticket.score.min(ranked[proof - 1].score);
        ranked.insert(proof, ticket);
    }
    for at in 0..ranked.len() {
        let Some((error, Standing::Said)) = of(&ranked[at]) else { continue };
        let is_less = |other: &Candidate| of(other).is_some_and(|(of, standing)| of == error && *standing != Standing::Said);
        let Some(less) = ranked[..at].iter().position(is_less) else { continue };
        let mut word = ranked.remove(at);
        word.score = word.score.max(ranked[less].score);
        ranked.insert(less, word);
    }
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Proven, Said, Tried, Unanswered};

    /// The places that these end up in, with scores that still fall.
    fn ordered(texts: &[(&str, Standing)]) -> Vec<usize> {
        let id = |n: usize| Uuid::from_u128(n as u128);
        let known = texts.iter().enumerate().map(|(n, (error, standing))| (id(n), ((*error).to_owned(), *standing)));
        let known: Known = known.filter(|(_, (error, _))| !error.is_empty()).collect();
        let ranked = (0_u8..).zip(texts).map(|(n, _)| Candidate::new(id(n.into()), 1.0 - f32::from(n) / 100.0, "")).collect();
        let found = in_order(ranked, &known);
        assert!(found.is_sorted_by(|a, b| a.score >= b.score), "{found:?}");
        found.iter().map(|one| usize::try_from(one.id.as_u128()).unwrap()).collect()
    }

    #[test]
    fn word_stands_before_what_was_tried() {
        let texts = [("", Tried), ("a", Proven), ("b", Proven), ("a", Tried), ("a", Said), ("c", Said), ("a", Said), ("", Tried)];
        assert_eq!(ordered(&texts), [0, 4, 6, 1, 2, 3, 5, 7]);
        assert_eq!(ordered(&[("a", Unanswered), ("b", Unanswered), ("a", Said)]), [2, 0, 1]);
    }

    #[test]
    fn proof_stands_before_open_tickets() {
        let texts = [("a", Unanswered), ("b", Unanswered), ("a", Unanswered), ("a", Tried), ("a", Proven), ("a", Proven)];
        assert_eq!(ordered(&texts), [1, 3, 4, 0, 2, 5]);
        assert_eq!(ordered(&[("a", Unanswered), ("b", Proven), ("a", Tried)]), [0, 1, 2], "that is no proof of its error");
        assert_eq!(ordered(&[("a", Unanswered), ("a", Proven), ("a", Said)]), [2, 1, 0]);
        assert_eq!(ordered(&[]), [0; 0]);
    }
}
