//! The contract suites on dynalite. It knows no `PartiQL`, so records are written one by one there.

use tidemark_testkit::contract;

use crate::cloud::{checkpoints, dynalite, ledger, records, stream};

#[tokio::test]
async fn the_contract_of_checkpoints_holds() {
    let Some(sdk) = dynalite().await else { return };
    let (table, port) = checkpoints(&sdk, "checkpoints").await;
    contract::checkpoints(&port, &stream("customers")).await;
    table.gone().await;
}

#[tokio::test]
async fn the_contract_of_chunks_holds() {
    let Some(sdk) = dynalite().await else { return };
    let (table, port) = ledger(&sdk, "chunks").await;
    contract::ledger(&port, &stream("customers")).await;
    table.gone().await;
}

#[tokio::test]
async fn the_contract_of_the_retry_lane_holds() {
    let Some(sdk) = dynalite().await else { return };
    let (table, port) = ledger(&sdk, "retry-lane").await;
    contract::retry_lane(&port, &stream("customers")).await;
    table.gone().await;
}

#[tokio::test]
async fn the_contract_of_the_shared_state_holds() {
    let Some(sdk) = dynalite().await else { return };
    let (table, port) = ledger(&sdk, "shared").await;
    contract::stream_state(&port, &stream("customers")).await;
    contract::source_state(&port, &stream("customers")).await;
    table.gone().await;
}

#[tokio::test]
async fn the_contract_of_records_holds() {
    let Some(sdk) = dynalite().await else { return };
    let (table, port, versions) = records(&sdk, "records").await;
    contract::records(&port, &versions, &stream("customers")).await;
    contract::stored_versions(&port, &versions, &stream("jobs")).await;
    table.gone().await;
}
