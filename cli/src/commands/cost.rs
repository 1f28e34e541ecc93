//! What the stack costs in AWS: what it costs by being there, and what a month's work has used.

use std::time::Duration;

use comfy_table::Cell;
use serde::Serialize;
use tidemark_aws::cloudwatch::{Counted, sums};
use tidemark_aws::dynamodb::Kept;
use tidemark_aws::{Sdk, prices};
use tidemark_engine::clock::LocalMillis;

use crate::Ended;
use crate::context::Context;
use crate::failure::Failure;
use crate::page;
use crate::stack::Stack;

/// What a month's work is counted over, as prices by the month mean it.
const MONTH: Duration = Duration::from_hours(30 * 24);

#[derive(Serialize)]
struct Shown {
    standing: Vec<Line>,
    /// Nothing where it was not asked for.
    used: Option<Vec<Line>>,
    /// A month's, of all that is shown.
    dollars: f64,
}

/// How much of something there is or was used, and what that costs at list prices, before any free tier.
#[derive(Serialize)]
struct Line {
    service: &'static str,
    what: String,
    count: f64,
    dollars: f64,
}

impl Line {
    fn new(service: &'static str, what: impl Into<String>, count: f64, price: f64) -> Self {
        Self { service, what: what.into(), count, dollars: count * price }
    }
}

pub(super) async fn run(context: &mut Context<'_>, month: bool) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let now = context.now;
    let sdk = context.sdk().await?;
    let standing = standing(&stack).await?;
    let used = if month { Some(used(sdk, &stack, now).await?) } else { None };
    let dollars = standing.iter().chain(used.iter().flatten()).map(|line| line.dollars).sum();
    context.show(&Shown { standing, used, dollars }, show)?;
    Ok(Ended::Well)
}

/// What is paid for by the month, used or not.
async fn standing(stack: &Stack) -> Result<Vec<Line>, Failure> {
    let sources = f64::from(u32::try_from(stack.sources.len()).unwrap_or(u32::MAX));
    let of = |(of_source, shared): (f64, f64)| of_source.mul_add(sources, shared);
    let Kept { items, kilobytes } = stack.copy.kept().await?;
    let kept = prices::ITEM_BYTES.mul_add(items, kilobytes * 1_024.0);
    Ok(vec![
        Line::new("CloudWatch", "metrics", of(prices::METRICS), prices::METRIC),
        Line::new("CloudWatch", "alarms", of(prices::ALARMS), prices::ALARM),
        Line::new("CloudWatch", "dashboards", of(prices::DASHBOARDS), prices::DASHBOARD),
        Line::new("Secrets Manager", "secrets", sources, prices::SECRET),
        Line::new("DynamoDB", "bytes of records, recoverable", kept, prices::STORAGE + prices::RECOVERY),
    ])
}

/// What the last month has used, by what AWS has counted.
async fn used(sdk: &Sdk, stack: &Stack, now: LocalMillis) -> Result<Vec<Line>, Failure> {
    let watcher = stack.output("WatcherFunction")?;
    let mut functions =
        vec![("the watcher", prices::WATCHER_GB, watcher, format!("/aws/lambda/{}/watcher", stack.name))];
    let mut queues = Vec::new();
    for source in &stack.sources {
        let log = |function: &str| format!("/aws/lambda/{}/{}-{function}", stack.name, source.source);
        functions.push(("pollers", prices::POLLER_GB, &source.poller, log("poller")));
        let fetcher = source.fetcher.as_deref();
        functions.extend(fetcher.map(|fetcher| ("fetchers", prices::FETCHER_GB, fetcher, log("fetcher"))));
        queues.extend([&source.queue_url, &source.dead_letters_url].map(|url| last_part(url, '/')));
    }
    let mut priced: Vec<(&'static str, String, f64, Counted)> = Vec::new();
    let mut add = |service, what: String, price, name, of| {
        let namespace = match service {
            "Lambda" => "AWS/Lambda",
            "SQS" => "AWS/SQS",
            "DynamoDB" => "AWS/DynamoDB",
            _ => "AWS/Logs",
        };
        priced.push((service, what, price, Counted { namespace, name, of }));
    };
    for (kind, gigabytes, function, log) in functions {
        let name = || ("FunctionName", last_part(function, ':').to_owned());
        add("Lambda", format!("invocations of {kind}"), prices::INVOCATION, "Invocations", name());
        add("Lambda", format!("milliseconds of {kind}"), gigabytes * prices::COMPUTE / 1e3, "Duration", name());
        add("Logs", "bytes of log lines".to_owned(), prices::LOG, "IncomingBytes", ("LogGroupName", log));
    }
    for (what, output) in [("checkpoints", "CheckpointsTable"), ("ledger", "LedgerTable"), ("records", "RecordsTable")]
    {
        let table = || ("TableName", stack.output(output).unwrap_or_default().to_owned());
        add("DynamoDB", format!("write units of {what}"), prices::WRITE, "ConsumedWriteCapacityUnits", table());
        add("DynamoDB", format!("read units of {what}"), prices::READ, "ConsumedReadCapacityUnits", table());
    }
    for queue in queues {
        for name in
            ["NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted", "NumberOfEmptyReceives"]
        {
            let of = ("QueueName", queue.to_owned());
            add("SQS", "requests, at most".to_owned(), prices::QUEUE, name, of);
        }
    }
    let asked: Vec<Counted> = priced.iter().map(|(_, _, _, counted)| counted.clone()).collect();
    let counts = sums(sdk, &asked, now.minus(MONTH), now).await?;
    let mut lines: Vec<Line> = Vec::new();
    for ((service, what, price, _), count) in priced.into_iter().zip(counts) {
        let count = count.unwrap_or_default();
        match lines.iter_mut().find(|line| line.service == service && line.what == what) {
            Some(line) => {
                line.count += count;
                line.dollars += count * price;
            }
            None => lines.push(Line::new(service, what, count, price)),
        }
    }
    let count_of = |what: &str| lines.iter().find(|line| line.what == what).map_or(0.0, |line| line.count);
    let (looks, polls) = (count_of("invocations of the watcher"), count_of("invocations of pollers"));
    lines.push(Line::new("Scheduler", "starts, at most", looks + polls, prices::SCHEDULE));
    lines.push(Line::new("CloudWatch", "calls that publish metrics", looks, prices::PUBLISH));
    Ok(lines)
}

fn last_part(text: &str, separator: char) -> &str {
    text.rsplit(separator).next().unwrap_or(text)
}

fn show(shown: &Shown, context: &mut Context<'_>) -> Result<(), Failure> {
    let part = |context: &mut Context<'_>, title: &str, lines: &[Line]| -> Result<(), Failure> {
        let mut table = page::table(context.terminal, ["SERVICE", "WHAT", "COUNT", "DOLLARS"]);
        for line in lines {
            let numbers = [format!("{:.0}", line.count), format!("{:.2}", line.dollars)];
            let numbers = numbers.map(|text| Cell::new(text).set_alignment(comfy_table::CellAlignment::Right));
            table.add_row([Cell::new(line.service), Cell::new(&line.what)].into_iter().chain(numbers));
        }
        Ok(write!(context.out, "{title}\n{}\n", page::lines(&table))?)
    };
    part(context, "A month, used or not:", &shown.standing)?;
    match &shown.used {
        Some(used) => part(context, "What the last 30 days have used:", used)?,
        None => writeln!(context.out, "What the last 30 days have used: tidemark cost --month\n")?,
    }
    writeln!(context.out, "${:.2} in all, at list prices of us-east-1.", shown.dollars)?;
    let left_out = "What AWS gives each account for nothing is not taken off.";
    Ok(writeln!(context.out, "{left_out} Calls of Secrets Manager are not counted.")?)
}
