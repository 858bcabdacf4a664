package cache

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// A value is written behind a checksum of it and of its key: what has lost bits, or is another entity's, is not served.
const sealLen = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // processors have an instruction for it

func seal(to *bytes.Buffer, key string, value []byte) {
	to.Write(binary.BigEndian.AppendUint32(to.AvailableBuffer(), checksum(key, value)))
	to.Write(value)
}

// unseal returns the value, which is not copied.
func unseal(key string, sealed []byte) ([]byte, bool) {
	if len(sealed) < sealLen {
		return nil, false
	}
	value := sealed[sealLen:]
	return value, binary.BigEndian.Uint32(sealed) == checksum(key, value)
}

// checksum begins with FNV-1a of the key, which takes a string as it is.
func checksum(key string, value []byte) uint32 {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return crc32.Update(h, castagnoli, value)
}
