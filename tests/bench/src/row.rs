//! One row of the table.

/// A budget and what was measured.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) measured: String,
    pub(crate) budget: String,
    pub(crate) has_budget: bool,
    pub(crate) is_missed: bool,
    pub(crate) how: &'static str,
    /// The part of the table, which is also the argument that measures it alone.
    pub(crate) group: &'static str,
}

/// A row whose figure must not be above its budget.
pub(crate) fn at_most(what: &'static str, figure: f64, budget: f64, unit: &str, how: &'static str) -> Row {
    let measured = format!("{}{unit}", short(figure));
    let is_missed = figure > budget;
    let budget = format!("<= {}{unit}", short(budget));
    Row { what, measured, budget, has_budget: true, is_missed, how, group: "" }
}

/// A row whose figure must not be below its budget.
pub(crate) fn at_least(what: &'static str, figure: f64, budget: f64, how: &'static str) -> Row {
    let is_missed = figure < budget;
    let budget = format!(">= {}", short(budget));
    Row { what, measured: format!("{figure:.0}"), budget, has_budget: true, is_missed, how, group: "" }
}

/// A row without a budget.
pub(crate) fn printed(what: &'static str, measured: String, how: &'static str) -> Row {
    Row { what, measured, budget: "none".to_owned(), has_budget: false, is_missed: false, how, group: "" }
}

fn short(figure: f64) -> String {
    let text = format!("{figure:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The rows as a Markdown table.
pub(crate) fn table(rows: &[Row]) -> String {
    let lines = rows.iter().map(|row| {
        let verdict = match (row.has_budget, row.is_missed) {
            (false, _) => "",
            (true, false) => "kept",
            (true, true) => "missed",
        };
        let Row { what, measured, budget, how, group, .. } = row;
        format!("| {what} | {measured} | {budget} | {verdict} | {how} | `{group}` |\n")
    });
    let head = "| what | measured | budget | verdict | how | command |\n|---|---|---|---|---|---|\n";
    std::iter::once(head.to_owned()).chain(lines).collect()
}
