package characters

import databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"

// The start template: what a new character gets if the request does not set it.

const startLevel = 1

func startStats() *databasev1.Stats {
	return &databasev1.Stats{
		Strength: 15, Dexterity: 15, Intelligence: 15, Concentration: 15, Charm: 10, Sense: 10,
		Hp: 50, MaxHp: 50, Mp: 18, MaxMp: 18, Stamina: 5000,
	}
}

// startPosition is in the starting map, where a character also revives.
func startPosition() *databasev1.Position {
	return &databasev1.Position{MapId: 20, X: 530500, Y: 539500, ReviveMapId: 20, ReviveX: 530500, ReviveY: 539500}
}
