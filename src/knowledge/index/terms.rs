//! In how many texts each term stands: kept up to date by what one transaction adds and takes away.

use std::collections::BTreeMap;

use super::IndexError;
use crate::db::TenantTx;

/// Term 0 counts the texts themselves.
const TEXTS: i32 = 0;

/// By corpus and term, so that two writers wait for each other and never in a circle.
#[derive(Debug, Default)]
pub(super) struct Terms(BTreeMap<(String, i32), i64>);

impl Terms {
    /// Counts one text in.
    pub(super) fn add(&mut self, corpus: &str, terms: impl Iterator<Item = i32>) {
        for term in std::iter::once(TEXTS).chain(terms) {
            *self.0.entry((corpus.to_owned(), term)).or_default() += 1;
        }
    }

    /// Counts out what so many texts had.
    pub(super) fn take(&mut self, corpus: String, term: i32, texts: i64) {
        *self.0.entry((corpus, term)).or_default() -= texts;
    }

    /// Writes the differences.
    pub(super) async fn apply(self, tx: &mut TenantTx, tenant: Option<&str>) -> Result<(), IndexError> {
        let (mut corpora, mut terms, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for ((corpus, term), by) in self.0.into_iter().filter(|(_, by)| *by != 0) {
            corpora.push(corpus);
            terms.push(term);
            texts.push(by);
        }
        sqlx::query!(
            "insert into knowledge_terms (tenant_id, corpus, term, texts)
             select $1, t.corpus, t.term, t.texts from unnest($2::text[], $3::int[], $4::bigint[]) with ordinality as t (corpus, term, texts, n)
              order by t.n
             on conflict (corpus, term, tenant_id) do update set texts = knowledge_terms.texts + excluded.texts",
            tenant,
            &corpora,
            &terms,
            &texts,
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }
}

/// Says that what is known has changed, so that kept answers are known to be old.
pub(super) async fn changed(tx: &mut TenantTx, tenant: Option<&str>) -> Result<(), IndexError> {
    sqlx::query!(
        "insert into knowledge_changes (tenant_id, number) values ($1, 1)
         on conflict (tenant_id) do update set number = knowledge_changes.number + 1",
        tenant,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_cancels_out() {
        let mut terms = Terms::default();
        terms.add("code", [3, 5].into_iter());
        terms.add("code", [3].into_iter());
        terms.take("code".to_owned(), 3, 1);
        terms.take("code".to_owned(), 5, 1);
        terms.take("code".to_owned(), TEXTS, 1);
        let left: Vec<_> = terms.0.into_iter().filter(|(_, by)| *by != 0).collect();
        assert_eq!(left, [(("code".to_owned(), 0), 1), (("code".to_owned(), 3), 1)]);
    }
}
