//! What the workspace's tests share. The tests themselves are in `tests/tests`.

pub mod stage;
