//! What is known of the terminal.

use comfy_table::Table;

/// The narrowest page that is made; a narrower terminal breaks its lines itself.
const WIDTH_MIN: u16 = 40;
/// The width where there is no terminal.
const WIDTH_DEFAULT: u16 = 80;

/// What is known of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// How many columns a page may have.
    pub width: u16,
    /// Whether results go to a person's screen.
    pub is_screen: bool,
    /// Whether a person can answer.
    pub can_ask: bool,
    /// Whether words may have colours.
    pub has_colours: bool,
}

impl Terminal {
    /// The terminal of this process. `NO_COLOR`, when it is not empty, turns colours off.
    #[expect(clippy::disallowed_methods, reason = "NO_COLOR and TERM are no configuration of Tidemark")]
    pub fn of_process(is_screen: bool, can_ask: bool) -> Self {
        let is_plain = std::env::var("NO_COLOR").is_ok_and(|text| !text.is_empty())
            || std::env::var("TERM").is_ok_and(|text| text == "dumb");
        let width = Some(Table::new()).filter(|_| is_screen).and_then(|table| table.width());
        Self {
            width: width.unwrap_or(WIDTH_DEFAULT).max(WIDTH_MIN),
            is_screen,
            can_ask,
            has_colours: is_screen && !is_plain,
        }
    }

    /// No terminal at all.
    pub fn none() -> Self {
        Self { width: WIDTH_DEFAULT, is_screen: false, can_ask: false, has_colours: false }
    }
}
