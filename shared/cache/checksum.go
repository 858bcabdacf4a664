package cache

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// Each value is stored behind a checksum of itself and of its key. So a value that has lost bits, or that belongs to another
// entity, is not served. The checksum finds accidents, not attacks.
const checksumLen = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // processors have an instruction for it

func writeChecksummed(to *bytes.Buffer, key string, value []byte) {
	to.Write(binary.BigEndian.AppendUint32(to.AvailableBuffer(), checksum(key, value)))
	to.Write(value)
}

// verified returns the value without its checksum, and whether that is right. It does not copy.
func verified(key string, stored []byte) ([]byte, bool) {
	if len(stored) < checksumLen {
		return nil, false
	}
	value := stored[checksumLen:]
	return value, binary.BigEndian.Uint32(stored) == checksum(key, value)
}

// checksum starts from FNV-1a of the key: that takes a string without a copy.
func checksum(key string, value []byte) uint32 {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return crc32.Update(h, castagnoli, value)
}
