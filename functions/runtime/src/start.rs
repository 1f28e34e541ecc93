//! A function's life: read the configuration, build, serve one invocation after the other.
//!
//! A wrong configuration ends the process before it serves anything, with one line that names every problem.
//! A panic ends one invocation, not the process, and the log names its place but never its text, in which a piece of a
//! record could stand.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use futures_util::FutureExt;
use lambda_runtime::{IntoFunctionResponse, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use crate::environment::{BadConfig, Environment};
use crate::failure::{ErrorKind, InvocationError, chain};
use crate::log;

/// Why a function did not start, or stopped.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// Runs a function until its environment is shut down: `read` its configuration, then `serve`.
pub fn start<C>(
    read: impl FnOnce(&mut Environment) -> Option<C>,
    serve: impl AsyncFnOnce(C) -> Result<(), StartError>,
) -> ExitCode {
    let mut environment = Environment::of_process();
    let filter = log::filter(&mut environment);
    let subscriber = log::subscriber(filter, std::io::stdout);
    // Fails only if there is one already, which serves as well.
    drop(tracing::subscriber::set_global_default(subscriber));
    log_panics();
    let config = read(&mut environment);
    match run(environment.finish(config), serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Written past the log filter: the filter itself may be wrong, and then the reason would be hidden.
            let everything = log::subscriber(Targets::new().with_default(LevelFilter::ERROR), std::io::stdout);
            tracing::subscriber::with_default(everything, || {
                tracing::error!(error_type = "StartFailed", "the function did not start: {}", chain(&*error));
            });
            ExitCode::FAILURE
        }
    }
}

fn run<C>(
    config: Result<C, BadConfig>,
    serve: impl AsyncFnOnce(C) -> Result<(), StartError>,
) -> Result<(), StartError> {
    let config = config?;
    // One thread: a function's environment has less than two processors, and a second one costs memory and start time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(config))
}

/// Serves invocations with `handle` for as long as there are any.
///
/// # Errors
/// What keeps the process from speaking to Lambda. A failed invocation is answered and logged instead.
pub async fn serve<E, A, F>(handle: impl Fn(LambdaEvent<E>) -> F) -> Result<(), StartError>
where
    E: for<'de> Deserialize<'de>,
    A: Serialize + IntoFunctionResponse<A, lambda_runtime::streaming::Body>,
    F: Future<Output = Result<A, InvocationError>>,
{
    // Boxed, because the future of a whole invocation is large and its type deep.
    lambda_runtime::run(service_fn(|event| Box::pin(guarded(handle(event))))).await
}

/// An invocation's outcome; a panic is an error like others.
async fn guarded<A>(invocation: impl Future<Output = Result<A, InvocationError>>) -> Result<A, InvocationError> {
    let caught = AssertUnwindSafe(invocation).catch_unwind().await;
    caught.unwrap_or_else(|_| {
        Err(InvocationError::new(ErrorKind::Panicked, "the function panicked; its log names the place"))
    })
}

/// Logs where a panic happened, never its text: it can quote the record that the program was working on.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(error_type = ErrorKind::Panicked.as_str(), place, "panicked");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_without_its_text() {
        let name = "Ada".to_owned();
        let error = guarded::<()>(async move { panic!("a name was {name}") }).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Panicked);
        assert!(!error.message.contains("Ada"));
    }
}
