//! Calls every rpc of StaffService with a deleted character, and brings it back.

use anyhow::{Context, Result, ensure};
use databasev1::{staff_service_client::StaffServiceClient, *};
use tonic::Code;

use crate::{Channel, ok, refused};

const WHY: &str = "an example";

/// Returns the new name of the character.
pub async fn call(channel: Channel, lost: &Character) -> Result<String> {
    let mut staff = StaffServiceClient::new(channel);
    let (user_id, character_id, name) = (lost.user_id.clone(), lost.id, lost.name.clone());

    let request = FindPlayersRequest { query: name.clone(), ..Default::default() };
    let got = ok("FindPlayers", staff.find_players(request).await)?;
    ensure!(got.players.iter().any(|p| p.character_id == character_id), "FindPlayers: {got:?}");
    println!("FindPlayers ok: {}", got.players.len());

    let request = GetPlayerRequest { user_id: user_id.clone(), reason: WHY.into() };
    let got = ok("GetPlayer", staff.get_player(request).await)?;
    let lost = got.characters.iter().find(|c| c.id == character_id).context("GetPlayer: the character is missing")?;
    ensure!(lost.recovery() == Recovery::Undelete, "GetPlayer: {lost:?}");
    println!("GetPlayer ok: {} sessions", got.sessions.len());

    let request = UndeleteCharacterRequest { character_id, reason: WHY.into(), ..Default::default() };
    let got = ok("UndeleteCharacter", staff.undelete_character(request.clone()).await)?;
    let back = got.character.context("UndeleteCharacter: no character")?;
    println!("UndeleteCharacter ok: in slot {}", back.slot);
    refused("UndeleteCharacter", staff.undelete_character(request).await, Code::FailedPrecondition, "CHARACTER_NOT_DELETED")?;

    let new_name = format!("{name}x");
    let request = RenameCharacterRequest { character_id, new_name: new_name.clone(), expected_name: name, reason: WHY.into(), ..Default::default() };
    let got = ok("RenameCharacter", staff.rename_character(request).await)?;
    ensure!(got.character.is_some_and(|c| c.name == new_name), "RenameCharacter: another name");
    println!("RenameCharacter ok: {new_name}");

    let found = ok("FindPlayers", staff.find_players(FindPlayersRequest { query: "bob".into(), ..Default::default() }).await)?;
    let bob = found.players.first().context("FindPlayers: no bob")?.user_id.clone();
    for (from_user_id, to_user_id) in [(user_id.clone(), bob.clone()), (bob, user_id.clone())] {
        let request = TransferCharacterRequest { character_id, from_user_id, to_user_id, reason: WHY.into(), ..Default::default() };
        ok("TransferCharacter", staff.transfer_character(request).await)?;
    }
    println!("TransferCharacter ok: there and back");

    let request = AddNoteRequest { user_id: user_id.clone(), text: WHY.into(), ..Default::default() };
    ok("AddNote", staff.add_note(request).await)?;
    println!("AddNote ok");
    let got = ok("ListNotes", staff.list_notes(ListNotesRequest { user_id, ..Default::default() }).await)?;
    println!("ListNotes ok: {}", got.notes.len());

    let of = Some(list_audit_request::Of::CharacterId(character_id));
    let got = ok("ListAudit", staff.list_audit(ListAuditRequest { of, ..Default::default() }).await)?;
    ensure!(got.entries.len() == 4 && got.entries.iter().all(|e| e.reason == WHY), "ListAudit: {got:?}");
    println!("ListAudit ok: {} rows", got.entries.len());
    Ok(new_name)
}
