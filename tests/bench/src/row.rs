//! One row of the table.

/// A budget and what was measured.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) measured: String,
    pub(crate) budget: String,
    pub(crate) is_missed: bool,
    pub(crate) how: &'static str,
}

/// A row whose figure must not be above its budget.
pub(crate) fn at_most(what: &'static str, figure: f64, budget: f64, unit: &str, how: &'static str) -> Row {
    Row {
        what,
        measured: format!("{}{unit}", short(figure)),
        budget: format!("<= {}{unit}", short(budget)),
        is_missed: figure > budget,
        how,
    }
}

/// A row whose figure must not be below its budget.
pub(crate) fn at_least(what: &'static str, figure: f64, budget: f64, unit: &str, how: &'static str) -> Row {
    Row {
        budget: format!(">= {}{unit}", short(budget)),
        is_missed: figure < budget,
        ..at_most(what, figure, budget, unit, how)
    }
}

/// A row without a budget.
pub(crate) fn printed(what: &'static str, measured: String, how: &'static str) -> Row {
    Row { what, measured, budget: "printed".to_owned(), is_missed: false, how }
}

fn short(figure: f64) -> String {
    let text = format!("{figure:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The rows as a Markdown table.
pub(crate) fn table(rows: &[Row]) -> String {
    let lines = rows.iter().map(|row| {
        let verdict = if row.is_missed { "missed" } else { "kept" };
        format!("| {} | {} | {} | {verdict} | {} |\n", row.what, row.measured, row.budget, row.how)
    });
    let head = "| what | measured | budget | | how |\n|---|---|---|---|---|\n";
    std::iter::once(head.to_owned()).chain(lines).collect()
}
