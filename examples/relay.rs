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
    let mut subscriptions: HashMap<String, Subscription> = HashMap::new();
    loop {
        let updates = subscriptions.iter_mut().map(|(sub, s)| s.map(move |u| (sub, u)));
        let mut updates = select_all(updates);
        let message = tokio::select! {
            Some((sub, update)) = updates.next() => {
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
        drop(updates);
        let Ok(Value::Array(parts)) = from_str(message.to_text().ok()?) else { continue };
        match (parts.first()?.as_str()?, parts.get(1)?) {
            ("EVENT", event) => {
                let answer = publish(&store, &event.to_string()).await?;
                out.send(Message::text(answer.to_string())).await.ok()?;
            }
            ("REQ", Value::String(sub)) => {
                let filters =
                    parts[2..].iter().map(|json| parse_filter(json.to_string().as_bytes()));
                let filters: Vec<_> = filters.collect::<Result<_, _>>().ok()?;
                subscriptions.insert(sub.clone(), store.subscribe(&filters));
            }
            ("CLOSE", Value::String(sub)) => drop(subscriptions.remove(sub)),
            _ => return None,
        }
    }
}

fn value(event: &Event) -> Value {
    serde_json::from_slice(&event.to_json()).unwrap_or_default()
}

async fn publish(store: &EventStore, json: &str) -> Option<Value> {
    let event = Event::from_json(json.as_bytes(), &JsonLimits::default()).ok()?;
    let view = event.as_ref();
    let short = view.kind() == 1 && view.content().len() <= 280;
    let genuine = id::check(&view) && verify::signature(&view);
    let stored = short && genuine && store.insert_async(&view).await.ok()? == Inserted::Stored;
    let text = if stored { "" } else { "blocked: new, short and signed notes only" };
    Some(json!(["OK", value(&event)["id"], stored, text]))
}
