//! A relay of one's own, for short notes only: `cargo run --example relay`, then any client at ws://127.0.0.1:7778.
use futures_util::{SinkExt, StreamExt, stream::select_all};
use ratite::nostr::{Event, EventStore, Inserted, JsonLimits, Subscription, Update};
use ratite::nostr::{id, parse_filter, verify};
use serde_json::{Value, from_str, json};
use std::{collections::HashMap, error::Error, sync::Arc};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{accept_async, tungstenite::Message};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Arc::new(EventStore::in_memory()?); // or EventStore::open_default("./data")
    let listener = TcpListener::bind("127.0.0.1:7778").await?;
    loop {
        tokio::spawn(serve(store.clone(), listener.accept().await?.0));
    }
}

async fn serve(store: Arc<EventStore>, socket: TcpStream) -> Option<()> {
    let (mut out, mut input) = accept_async(socket).await.ok()?.split();
    let mut subs = HashMap::<String, Subscription>::new();
    loop {
        let mut live = select_all(subs.iter_mut().map(|(id, all)| all.map(move |one| (id, one))));
        let message = tokio::select! {
            Some((sub, update)) = live.next() => {
                let answer = match update {
                    Ok(Update::Stored(event)) => json!(["EVENT", sub, value(&event)]),
                    Ok(Update::Live(event)) => json!(["EVENT", sub, value(&event)]),
                    Ok(Update::Eose) => json!(["EOSE", sub]),
                    Err(error) => json!(["CLOSED", sub, error.to_string()]),
                };
                out.send(Message::text(answer.to_string())).await.ok()?;
                continue;
            }
            message = input.next() => message?.ok()?,
        };
        drop(live);
        let Ok(Value::Array(parts)) = from_str(message.to_text().ok()?) else { continue };
        match (parts.first()?.as_str()?, parts.get(1)?) {
            ("EVENT", event) => out.send(publish(&store, &event.to_string()).await?).await.ok()?,
            ("REQ", Value::String(sub)) => {
                let filter = |json: &Value| parse_filter(json.to_string().as_bytes()).ok();
                let filters: Vec<_> = parts[2..].iter().map(filter).collect::<Option<_>>()?;
                subs.insert(sub.clone(), store.subscribe(&filters));
            }
            ("CLOSE", Value::String(sub)) => drop(subs.remove(sub)),
            _ => return None,
        }
    }
}

fn value(event: &Event) -> Value {
    serde_json::from_slice(&event.to_json()).unwrap_or_default()
}

async fn publish(store: &EventStore, json: &str) -> Option<Message> {
    let event = Event::from_json(json.as_bytes(), &JsonLimits::default()).ok()?;
    let (note, short) = (event.as_ref(), event.kind() == 1 && event.content().len() <= 280);
    let good = short && id::check(&note) && verify::signature(&note);
    let stored = good && store.insert_async(&note).await.ok()? == Inserted::Stored;
    let text = if stored { "" } else { "blocked: new, short and signed notes only" };
    Some(Message::text(json!(["OK", value(&event)["id"], stored, text]).to_string()))
}
