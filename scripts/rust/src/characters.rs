//! Creates, reads, saves, marks, restores and deletes one character: all rpcs of CharacterDbService.

use anyhow::{Context, Result, ensure};
use databasev1::{character_db_service_client::CharacterDbServiceClient, *};
use prost_types::{Struct, Value, value::Kind};
use tonic::Code;
use uuid::Uuid;

use crate::{Channel, ok, refused, staff};

pub async fn call(channel: Channel, user_id: String) -> Result<()> {
    let mut client = CharacterDbServiceClient::new(channel.clone());
    let mut made = create(&mut client, user_id).await?;
    list(&mut client, &made).await?;
    save(&mut client, &made).await?;
    delete_and_restore(&mut client, &made).await?;
    delete(&mut client, &made).await?;
    made.name = staff::call(channel, &made).await?;
    delete(&mut client, &made).await
}

type Client = CharacterDbServiceClient<Channel>;

async fn create(client: &mut Client, user_id: String) -> Result<Character> {
    let guild = Value { kind: Some(Kind::StringValue("Rustaceans".into())) };
    let item = Item { uid: new_uuid(), item_id: 1001, count: 3, ..Default::default() };
    let create = CreateCharacterRequest {
        user_id,
        name: format!("Rust{}", &new_uuid()[..8]),
        request_id: new_uuid(),
        level: 7,
        money: 1 << 40,
        looks: Some(Looks { race: 1, face: 2, hair: 3, birth_stone: 4 }),
        inventory: Some(Inventory { capacity: 30, items: vec![item], wishlist: vec![] }),
        extra: Some(Struct { fields: [("guild".into(), guild)].into() }),
        ..Default::default()
    };
    let got = ok("CreateCharacter", client.create_character(create.clone()).await)?;
    let made = got.character.context("CreateCharacter: no character")?;
    ensure!(!got.replayed && made.name == create.name, "CreateCharacter: {made:?}");
    let again = ok("CreateCharacter", client.create_character(create.clone()).await)?;
    let same = again.character.is_some_and(|c| c.id == made.id);
    ensure!(again.replayed && same, "CreateCharacter: a second character for the same request_id");
    println!("CreateCharacter ok: {} in slot {}", made.name, made.slot);

    let got = ok("GetCharacter", client.get_character(get(&made)).await)?;
    let read = got.character.context("GetCharacter: no character")?;
    let kept = (read.level, read.money, &read.looks, &read.inventory, &read.extra)
        == (create.level, create.money, &create.looks, &create.inventory, &create.extra);
    ensure!(kept && read.state() == CharacterState::Active, "GetCharacter: got {read:?}, want {create:?}");
    println!("GetCharacter ok: version {}", read.version);
    Ok(made)
}

fn get(c: &Character) -> GetCharacterRequest {
    GetCharacterRequest { user_id: c.user_id.clone(), character_id: c.id, view: CharacterView::Full.into() }
}

async fn list(client: &mut Client, made: &Character) -> Result<()> {
    let request = GetCharacterListRequest { user_id: made.user_id.clone(), ..Default::default() };
    let got = ok("GetCharacterList", client.get_character_list(request).await)?;
    ensure!(got.characters.iter().any(|c| c.id == made.id), "GetCharacterList: {} is missing", made.name);
    println!("GetCharacterList ok: {} of {} slots", got.characters.len(), got.max_slots);
    Ok(())
}

async fn save(client: &mut Client, made: &Character) -> Result<()> {
    let save = SaveCharacterRequest {
        user_id: made.user_id.clone(),
        character_id: made.id,
        expected_version: made.version,
        save_id: new_uuid(),
        level: Some(8),
        add_play_seconds: 60,
        ..Default::default()
    };
    let saved = ok("SaveCharacter", client.save_character(save.clone()).await)?;
    ensure!(!saved.replayed && saved.version > made.version, "SaveCharacter: {saved:?}");
    let again = ok("SaveCharacter", client.save_character(save.clone()).await)?;
    ensure!(again.replayed && again.version == saved.version, "SaveCharacter: same save_id, no replay: {again:?}");
    println!("SaveCharacter ok: version {}", saved.version);

    let stale = SaveCharacterRequest { save_id: new_uuid(), ..save };
    let metadata = refused("SaveCharacter", client.save_character(stale).await, Code::Aborted, "VERSION_MISMATCH")?;
    let current = metadata.get("current_version");
    ensure!(current == Some(&saved.version.to_string()), "SaveCharacter: metadata {metadata:?}");
    Ok(())
}

async fn delete_and_restore(client: &mut Client, made: &Character) -> Result<()> {
    let request = delete_request(made, DeleteMode::Scheduled);
    let got = ok("DeleteCharacter", client.delete_character(request).await)?;
    let marked = got.character.is_some_and(|c| c.state() == CharacterState::PendingDeletion);
    ensure!(marked && got.remaining_seconds > 0, "DeleteCharacter: the character is not marked");
    println!("DeleteCharacter ok: in {} s", got.remaining_seconds);

    let request = RestoreCharacterRequest { user_id: made.user_id.clone(), character_id: made.id };
    let got = ok("RestoreCharacter", client.restore_character(request).await)?;
    let restored = got.character.context("RestoreCharacter: no character")?;
    ensure!(restored.state() == CharacterState::Active && restored.level == 8, "RestoreCharacter: {restored:?}");
    println!("RestoreCharacter ok: level {}", restored.level);
    Ok(())
}

async fn delete(client: &mut Client, made: &Character) -> Result<()> {
    let request = delete_request(made, DeleteMode::Immediate);
    let got = ok("DeleteCharacter", client.delete_character(request).await)?;
    let gone = got.character.is_some_and(|c| c.state() == CharacterState::Deleted);
    ensure!(gone && got.remaining_seconds == 0, "DeleteCharacter: the character is not deleted");
    println!("DeleteCharacter ok: at once");
    refused("GetCharacter", client.get_character(get(made)).await, Code::NotFound, "CHARACTER_NOT_FOUND")?;
    Ok(())
}

fn delete_request(c: &Character, mode: DeleteMode) -> DeleteCharacterRequest {
    DeleteCharacterRequest {
        user_id: c.user_id.clone(),
        character_id: c.id,
        mode: mode.into(),
        expected_name: c.name.clone(),
    }
}

fn new_uuid() -> String {
    Uuid::new_v4().to_string()
}
