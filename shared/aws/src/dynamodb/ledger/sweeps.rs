//! What sweeps keep in the ledger.
//!
//! | item | attributes |
//! |---|---|
//! | `work#source#stream` / `sweep` | `version` N; `state` S: JSON |
//! | `work#source#stream` / `swept#begun_at#listed\|extra\|unlisted#version#seq` | `ids_zstd` B: a JSON list of ids, compressed with zstd; `expires_at` N s |

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::Written;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::StreamKey;
use tidemark_sweep::ports::Sweeps;
use tidemark_sweep::state::{KEPT_FOR, Kept, PieceKey, SweepState};

use super::super::item::{BadShape, Item, Reader, bytes, item, number, text};
use super::super::table::{Query, Update, malformed};
use super::{BEGINS_WITH, LedgerTable, key, packed, unavailable, work_of};

const STATE: &str = "sweep";
const STORE: &str = "SET #version = :version, #state = :state";
const IS_NEXT: &str = "attribute_not_exists(#version) OR #version = :known_version";
const KEEP: &str = "SET #ids_zstd = :ids, #expires_at = :expires_at";

impl Sweeps for LedgerTable {
    async fn load_sweep(&self, stream: &StreamKey) -> Result<Option<SweepState>, StoreFailure> {
        let operation = "read the state of sweeps";
        let found = self.table.get(operation, key(work_of(stream), STATE)).await?;
        let state = found.as_ref().map(state_of).transpose();
        state.map_err(|fault| malformed(operation, stream, &fault))
    }

    async fn store_sweep(&self, stream: &StreamKey, next: &SweepState) -> Result<Written, StoreFailure> {
        let operation = "write the state of sweeps";
        let values = state_values(next).map_err(|fault| unavailable(operation, fault))?;
        let key = key(work_of(stream), STATE);
        self.table.update(Update { operation, key, expression: STORE, condition: IS_NEXT, values }).await
    }

    async fn keep(&self, stream: &StreamKey, piece: &PieceKey, ids: &[RecordId]) -> Result<(), StoreFailure> {
        let operation = "keep ids of a sweep";
        let values = piece_values(piece, ids).map_err(|fault| unavailable(operation, fault))?;
        let key = key(work_of(stream), sort_key(piece));
        self.table.update(Update { operation, key, expression: KEEP, condition: "", values }).await.map(|_| ())
    }

    async fn kept(&self, stream: &StreamKey, sweep: LocalMillis, kept: Kept) -> Result<Vec<RecordId>, StoreFailure> {
        let operation = "read ids of a sweep";
        let values = item([(":partition", text(work_of(stream))), (":prefix", text(prefix_of(sweep, kept)))]);
        let mut found = Vec::new();
        for piece in self.table.query(Query::new(operation, BEGINS_WITH, values)).await? {
            found.extend(ids_of(&piece).map_err(|fault| malformed(operation, stream, &fault))?);
        }
        Ok(found)
    }
}

fn state_values(state: &SweepState) -> Result<Item, serde_json::Error> {
    let json = serde_json::to_string(state)?;
    let (version, known_version) = (number(state.version), number(state.version - 1));
    Ok(item([(":version", version), (":known_version", known_version), (":state", text(json))]))
}

fn state_of(item: &Item) -> Result<SweepState, BadShape> {
    let state = Reader::of(item).text("state")?;
    serde_json::from_str(state).map_err(|_| BadShape("state is no state of sweeps".to_owned()))
}

fn prefix_of(sweep: LocalMillis, kept: Kept) -> String {
    format!("swept#{:015}#{}#", sweep.get(), kept.as_str())
}

fn sort_key(piece: &PieceKey) -> String {
    format!("{}{:015}#{:06}", prefix_of(piece.sweep, piece.kept), piece.version, piece.seq)
}

fn piece_values(piece: &PieceKey, ids: &[RecordId]) -> Result<Item, std::io::Error> {
    Ok(item([(":ids", bytes(packed::pack(&ids)?)), (":expires_at", number(piece.sweep.plus(KEPT_FOR).get() / 1_000))]))
}

fn ids_of(item: &Item) -> Result<Vec<RecordId>, BadShape> {
    packed::unpack(Reader::of(item), "ids_zstd")
}

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::*;

    #[test]
    fn names_and_values_match() {
        let piece = PieceKey { sweep: LocalMillis::new(1), kept: Kept::Extra, version: 2, seq: 3 };
        samples::assert_consistent(&[KEEP], &piece_values(&piece, &[]).unwrap());
        samples::assert_consistent(&[STORE, IS_NEXT], &state_values(&SweepState::default()).unwrap());
        assert_eq!(sort_key(&piece), "swept#000000000000001#extra#000000000000002#000003");
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        let packed = packed::pack(&[7]).unwrap();
        let fault = BadShape("ids_zstd holds no ids".to_owned());
        assert_eq!(ids_of(&item([("ids_zstd", bytes(packed))])), Err(fault));
        let fault = BadShape("state is no state of sweeps".to_owned());
        assert_eq!(state_of(&item([("state", text("{}"))])), Err(fault));
    }
}
