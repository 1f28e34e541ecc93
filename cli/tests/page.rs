//! `docs/cli.md` is the help texts.

use std::fs;
use std::path::Path;

use clap_markdown::MarkdownOptions;
use tidemark_cli::args::command;

/// The longest line.
const WIDTH: usize = 120;

const BEFORE: &str = "\
<!-- Generated from the help texts by cli/tests/page.rs; INSTA_UPDATE=always cargo test -p tidemark-cli writes it again. -->

# The command line

`make install` installs `tidemark`; `make cli ARGS=\"status\"` runs it from a checkout. It finds everything through the
stack's outputs and parameters; `--local` works on the cloud that `make local-up` started.

";

const POLICIES: &str = "\
## Permissions

The commands that only read need this policy, here for a stack called `tidemark`; with `KmsKeyArn` set, `kms:Decrypt` on that
key too, and for the commands that change something `kms:GenerateDataKey` and `kms:Encrypt`:

```json
READ```

Those that change something need this one beside it. So do `doctor` and `explain --ask`, to ask the vendors; without it
`doctor` looks at the rest:

```json
OPERATE```
";

/// A line, broken where it would be too long; what goes on of a list's point is indented.
fn wrapped(line: &str) -> String {
    if line.len() < WIDTH {
        return line.trim_end().to_owned();
    }
    let indent = if line.starts_with("* ") { "\n  " } else { "\n" };
    let mut text = String::new();
    let mut width = 0;
    for word in line.split_whitespace() {
        if width + word.len() >= WIDTH && width > 0 {
            text.push_str(indent);
            width = indent.len() - 1;
        } else if width > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += word.len();
    }
    text
}

fn page() -> String {
    let options = MarkdownOptions::new().title(String::new()).show_footer(false).show_table_of_contents(false);
    let text = clap_markdown::help_markdown_command_custom(&command(), &options);
    let ours = text.lines().filter(|line| !line.starts_with("This document contains"));
    let lines = ours.map(wrapped).collect::<Vec<_>>().join("\n");
    let policies = POLICIES
        .replace("READ", include_str!("../policies/read.json"))
        .replace("OPERATE", include_str!("../policies/operate.json"));
    format!("{BEFORE}{}\n\n{policies}", lines.trim().trim_start_matches('#').trim())
}

#[test]
fn the_reference_page_is_the_help_texts() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let page = page();
    #[expect(clippy::disallowed_methods, reason = "how snapshots are updated, here as elsewhere")]
    if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
        fs::write(&file, &page).expect("the page can be written");
    }
    let found = fs::read_to_string(&file).expect("the page can be read");
    assert!(found == page, "docs/cli.md is not what the help texts say: INSTA_UPDATE=always writes it again");
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}
