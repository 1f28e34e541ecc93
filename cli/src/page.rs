//! Pages for a person: tables that fit the terminal, and words in colours.

use std::fmt::Display;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use tidemark_watch::state::State;

use crate::terminal::Terminal;

/// A table with this head. It fits the terminal; a long word goes on in the next line.
pub(crate) fn table<const N: usize>(terminal: Terminal, head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(terminal.width);
    if terminal.has_colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(head.map(|word| Cell::new(word).add_attribute(Attribute::Bold)));
    // Without a frame, a column's space is on its right alone.
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Keeps the words of these columns in one line, however narrow the terminal is.
pub(crate) fn keep_whole(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

/// Leaves less space than elsewhere at the right of these columns.
pub(crate) fn close_up(table: &mut Table, columns: impl IntoIterator<Item = (usize, u16)>) {
    for (index, space) in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, space));
        }
    }
}

/// Leaves a column out.
pub(crate) fn hide(table: &mut Table, column: Option<usize>) {
    if let Some(column) = column.and_then(|column| table.column_mut(column)) {
        column.set_constraint(ColumnConstraint::Hidden);
    }
}

/// The table's lines, without the space at their ends.
pub(crate) fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A number, at the right of its column; a dash for none.
pub(crate) fn count(count: impl Into<u64>) -> Cell {
    let count: u64 = count.into();
    let text = if count == 0 { "-".to_owned() } else { count.to_string() };
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// The state of a stream, in the colour of how urgent it is; where there is little room, without its end.
pub(crate) fn state(state: State, is_wide: bool) -> Cell {
    let words = state.to_string();
    let word = words.split_once(" until ").map_or(words.as_str(), |(word, _)| word);
    let cell = Cell::new(if is_wide { &words } else { word });
    match state {
        State::Fresh => cell.fg(Color::Green),
        State::Importing { .. } => cell.fg(Color::Cyan),
        State::Behind | State::Paused { .. } => cell.fg(Color::Yellow),
        State::Stale
        | State::KeyRejected { .. }
        | State::VendorDown { .. }
        | State::Refused { .. }
        | State::AccountChanged
        | State::QuarantineFull => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        State::Off => cell.fg(Color::DarkGrey),
    }
}

/// A number and what is counted, `1 record`, `2 records`.
pub(crate) fn plural(count: usize, what: impl Display) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

/// Counts on the screen how far something got; nothing is shown where results go to a screen themselves, or nobody looks.
pub(crate) fn counter(terminal: Terminal, what: &'static str) -> ProgressBar {
    if terminal.is_screen || !terminal.can_ask {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} {msg}, {per_sec}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::no_length().with_style(style).with_message(what)
}

/// Shows on the screen how much of something is done.
pub(crate) fn bar(terminal: Terminal, length: usize) -> ProgressBar {
    if !terminal.can_ask {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len}");
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
