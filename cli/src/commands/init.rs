//! Setting a source up: its credential into a secret, and the parameters that turn it on.

use std::fs;
use std::io;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};
use tidemark_aws::secrets;
use tidemark_engine::stream::SourceKind;
use tidemark_sources::http::BaseUrl;
use tidemark_sources::registry::{credential_members, parameter_prefix};
use toml_edit::{Array, DocumentMut, Item, Table};

use crate::Ended;
use crate::args::Consent;
use crate::ask::{Plan, agree_to};
use crate::context::Context;
use crate::failure::Failure;

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) source: SourceKind,
    /// The name of the secret; by default the stack's and the source's.
    pub(super) secret: Option<String>,
    pub(super) base_url: Option<String>,
    /// The file that the parameters are written into.
    pub(super) samconfig: Option<&'a Path>,
}

/// What was done.
#[derive(Serialize)]
struct Done {
    source: SourceKind,
    secret_arn: String,
    /// The parameters of the deployment, by name.
    parameters: Map<String, Value>,
    written_to: Option<String>,
    next: Vec<String>,
}

pub(super) async fn run(context: &mut Context<'_>, wanted: &Wanted<'_>, consent: &Consent) -> Result<Ended, Failure> {
    let source = wanted.source;
    let prefix = parameter_prefix(source);
    // The stack need not be there yet; what else is wrong shows before a credential is asked for.
    let stack = context.stack_if_any().await?;
    let document = wanted.samconfig.map(Samconfig::read).transpose()?;
    let name = wanted.secret.clone().unwrap_or_else(|| format!("{}/{source}", context.global.stack));
    let address = (wanted.base_url.is_none() && source == SourceKind::FieldMotion).then_some("address of the account");
    let asked: Vec<&str> = address.into_iter().chain(credential_members(source).iter().copied()).collect();
    let mut effects = vec![
        format!("asked for, in this order: {}", asked.join(", ")),
        format!("the credential is kept in Secrets Manager as {name}; a value that is there is replaced"),
    ];
    effects.push(match wanted.samconfig {
        Some(file) => format!("the parameters that turn {source} on are written into {}", file.display()),
        None => format!("the parameters that turn {source} on are printed; nothing is deployed"),
    });
    let what = "keep a credential, and say how the source is turned on".to_owned();
    let plan = Plan { command: "init", subject: source.to_string(), what, effects };
    if agree_to(context, stack.as_ref(), &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let base_url = base_url(context, wanted, prefix)?;
    let secret = credential(context, source)?;
    let secret_arn = secrets::keep(context.sdk().await?, &name, &secret).await?;
    let mut parameters = Map::new();
    parameters.insert(format!("{prefix}SecretArn"), secret_arn.clone().into());
    if let Some(base_url) = base_url {
        parameters.insert(format!("{prefix}BaseUrl"), base_url.into());
    }
    if let Some(document) = document {
        document.with(&parameters)?.write()?;
    }
    let is_deployed = stack.as_ref().is_some_and(|stack| {
        stack.source(source).is_ok() && stack.parameter(&format!("{prefix}SecretArn")) == Some(secret_arn.as_str())
    });
    let deploy = if context.global.local && wanted.samconfig.is_none() {
        "put them into .local/parameters.yaml, then: sam build --config-env local && sam deploy --config-env local"
    } else {
        "make deploy"
    };
    let deploy = deploy.to_owned();
    let doctor = format!("tidemark doctor {source}");
    let done = Done {
        source,
        secret_arn,
        parameters,
        written_to: wanted.samconfig.map(|file| file.display().to_string()),
        next: if is_deployed { vec![doctor] } else { vec![deploy, doctor] },
    };
    context.show(&done, show)?;
    if is_deployed && !context.global.json {
        // The source has this secret already: whether the vendor accepts it is known in a moment.
        writeln!(context.out)?;
        return super::doctor::run(context, Some(source)).await;
    }
    Ok(Ended::Well)
}

fn show(done: &Done, context: &mut Context<'_>) -> Result<(), Failure> {
    let out = &mut context.out;
    writeln!(out, "the credential is in {}", done.secret_arn)?;
    if let Some(file) = &done.written_to {
        writeln!(out, "{file} turns {} on", done.source)?;
    } else {
        writeln!(out, "parameters of the deployment:")?;
        for (name, value) in &done.parameters {
            writeln!(out, "  {name}={}", value.as_str().unwrap_or_default())?;
        }
    }
    for next in &done.next {
        writeln!(out, "next: {next}")?;
    }
    Ok(())
}

/// The vendor's address, where it is given, or has to be because it differs from account to account.
fn base_url(context: &mut Context<'_>, wanted: &Wanted<'_>, prefix: &str) -> Result<Option<String>, Failure> {
    let given = match (&wanted.base_url, wanted.source) {
        (Some(given), _) => given.clone(),
        (None, SourceKind::FieldMotion) => {
            ask(context, "address of the account (such as https://cp13.fieldmotion.com)")?
        }
        (None, _) => return Ok(None),
    };
    BaseUrl::parse(&given).map_err(|bad| {
        let next = "enter the address first, or name it with --base-url";
        Failure::Usage(format!("{prefix}BaseUrl is not right: {bad}\nnext: {next}"))
    })?;
    Ok(Some(given))
}

/// The secret's JSON, of what a person enters.
fn credential(context: &mut Context<'_>, source: SourceKind) -> Result<SecretString, Failure> {
    let mut members = Map::new();
    for member in credential_members(source) {
        let entered = ask_hidden(context, member)?;
        members.insert((*member).to_owned(), entered.expose_secret().trim().into());
    }
    Ok(Value::Object(members).to_string().into())
}

fn ask(context: &mut Context<'_>, what: &str) -> Result<String, Failure> {
    Ok(prompted(context, what, line)?.trim().to_owned())
}

fn line(context: &mut Context<'_>) -> io::Result<String> {
    let mut line = String::new();
    context.answers.read_line(&mut line)?;
    Ok(line)
}

/// Asks without showing what is entered.
fn ask_hidden(context: &mut Context<'_>, what: &str) -> Result<SecretString, Failure> {
    let hidden = context.hidden;
    let entered = prompted(context, what, |context| hidden.map_or_else(|| line(context), |read| read()))?;
    Ok(entered.into())
}

fn prompted(
    context: &mut Context<'_>,
    what: &str,
    read: impl FnOnce(&mut Context<'_>) -> io::Result<String>,
) -> Result<String, Failure> {
    if context.terminal.can_ask {
        write!(context.notes, "{what}: ")?;
        context.notes.flush()?;
    }
    let entered = read(context)?;
    if entered.trim().is_empty() {
        let next = "enter it, or give the lines to standard input in the order in which they are asked for";
        return Err(Failure::NotDone(format!("nothing was done: no {what} was entered\nnext: {next}")));
    }
    Ok(entered)
}

/// The file that `sam deploy` reads, in which comments and all else stay as they are.
struct Samconfig<'a> {
    file: &'a Path,
    document: DocumentMut,
}

/// Where the parameters stand.
const DEPLOY: [&str; 3] = ["default", "deploy", "parameters"];
const OVERRIDES: &str = "parameter_overrides";

impl<'a> Samconfig<'a> {
    /// Reads the file; one that is not there yet is empty.
    fn read(file: &'a Path) -> Result<Self, Failure> {
        let refused = |cause: String| {
            let next = "correct the file, or leave --samconfig out and pass the parameters to `sam deploy` yourself";
            Failure::Usage(format!("{} cannot be used: {cause}\nnext: {next}", file.display()))
        };
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => "version = 0.1\n".to_owned(),
            Err(error) => return Err(refused(error.to_string())),
        };
        let document = text.parse().map_err(|bad: toml_edit::TomlError| refused(bad.message().to_owned()))?;
        Ok(Self { file, document })
    }

    /// The same with these parameters, each in the place of an older value.
    fn with(mut self, parameters: &Map<String, Value>) -> Result<Self, Failure> {
        let odd = || {
            let next = "write the parameters in yourself: they are a list of Name=value, or one text of them";
            Failure::Usage(format!("{OVERRIDES} of {} is of another shape\nnext: {next}", self.file.display()))
        };
        let mut given: Vec<String> = match self.document.get(DEPLOY[0]).and_then(overrides_of) {
            None => Vec::new(),
            Some(item) => match (item.as_str(), item.as_array()) {
                (Some(text), _) => shlex::split(text).ok_or_else(odd)?,
                (_, Some(list)) => {
                    list.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>().ok_or_else(odd)?
                }
                (None, None) => return Err(odd()),
            },
        };
        for (name, value) in parameters {
            let pair = format!("{name}={}", value.as_str().unwrap_or_default());
            match given.iter_mut().find(|one| one.split('=').next() == Some(name)) {
                Some(one) => *one = pair,
                None => given.push(pair),
            }
        }
        let mut place: &mut Item = self.document.as_item_mut();
        for name in DEPLOY {
            let table = place.as_table_like_mut().ok_or_else(odd)?;
            let mut implicit = Table::new();
            implicit.set_implicit(true);
            place = table.entry(name).or_insert(Item::Table(implicit));
        }
        let table = place.as_table_like_mut().ok_or_else(odd)?;
        table.insert(OVERRIDES, toml_edit::value(given.iter().collect::<Array>()));
        Ok(self)
    }

    fn write(&self) -> Result<(), Failure> {
        Ok(fs::write(self.file, self.document.to_string())?)
    }
}

fn overrides_of(environment: &Item) -> Option<&Item> {
    DEPLOY.iter().skip(1).try_fold(environment, |place, name| place.get(name))?.get(OVERRIDES)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(text: &str) -> Result<String, Failure> {
        let parameters = json!({"FieldlySecretArn": "arn:new", "FieldlyBaseUrl": "https://x"});
        let samconfig = Samconfig { file: Path::new("samconfig.toml"), document: text.parse().unwrap() };
        Ok(samconfig.with(parameters.as_object().unwrap())?.document.to_string())
    }

    #[test]
    fn parameters_are_written_and_the_rest_is_left_as_it_is() {
        let new = r#"parameter_overrides = ["FieldlyBaseUrl=https://x", "FieldlySecretArn=arn:new"]"#;
        let text = "# ours\nversion = 0.1\n\n[default.deploy.parameters]\nstack_name = \"tidemark\" # its name\n";
        assert_eq!(written(text).unwrap(), format!("{text}{new}\n"));
        assert_eq!(
            written("version = 0.1\n").unwrap(),
            format!("version = 0.1\n\n[default.deploy.parameters]\n{new}\n")
        );
    }

    #[test]
    fn a_parameter_that_is_there_is_replaced_in_either_form() {
        for old in [
            r#"["PollRate=rate(5 minutes)", "FieldlySecretArn=arn:old"]"#,
            r#""PollRate='rate(5 minutes)' FieldlySecretArn=arn:old""#,
        ] {
            let text = format!("[default.deploy.parameters]\nparameter_overrides = {old}\n");
            let found = written(&text).unwrap();
            assert!(
                found.contains(
                    r#"["PollRate=rate(5 minutes)", "FieldlySecretArn=arn:new", "FieldlyBaseUrl=https://x"]"#
                ),
                "{found}"
            );
        }
    }

    #[test]
    fn another_shape_is_refused() {
        for text in ["default = 7\n", "[default.deploy.parameters]\nparameter_overrides = 7\n"] {
            assert!(matches!(written(text), Err(Failure::Usage(_))), "{text}");
        }
    }
}
