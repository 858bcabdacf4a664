package cache

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
)

// A sealed value is the time of its fill (8 bytes, ms), a random nonce and the ciphertext of AES-256-GCM. The cipher also
// authenticates that time and the place of the value: its key, field and epoch.
const (
	timeLen   = 8
	nonceLen  = 12
	gcmTagLen = 16
	// windowBits makes a window of time 2^22 ms (70 minutes) long. Each has another key, because a key with random nonces is
	// good for 2^32 values (NIST SP 800-38D, 8.3).
	windowBits = 22
)

// sealer seals the values of one window of time.
type sealer struct {
	window uint64
	aead   cipher.AEAD
}

func (id *identity) sealer(at int64) (cipher.AEAD, error) {
	window := uint64(at) >> windowBits
	kept := &id.sealers[window&1]
	if s := kept.Load(); s != nil && s.window == window {
		return s.aead, nil
	}
	h := hmac.New(sha256.New, id.valueKey)
	h.Write(binary.BigEndian.AppendUint64(nil, window))
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err == nil {
		kept.Store(&sealer{window, aead})
	}
	return aead, err
}

// seal appends the sealed value to dst. at is when it was filled.
func (id *identity) seal(dst []byte, at int64, place, value []byte) ([]byte, error) {
	aead, err := id.sealer(at)
	if err != nil {
		return nil, err
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(at))
	nonce := make([]byte, nonceLen)
	rand.Read(nonce) // never fails
	return aead.Seal(append(dst, nonce...), nonce, value, binary.BigEndian.AppendUint64(place, uint64(at))), nil
}

// open returns the value in its own memory, and when it was filled. It returns false if this database has not sealed it for
// this place.
func (id *identity) open(sealed, place []byte) (value []byte, at int64, ok bool) {
	if len(sealed) < timeLen+nonceLen+gcmTagLen {
		return nil, 0, false
	}
	at = int64(binary.BigEndian.Uint64(sealed))
	aead, err := id.sealer(at)
	if err != nil {
		return nil, 0, false
	}
	nonce, ciphertext := sealed[timeLen:timeLen+nonceLen], sealed[timeLen+nonceLen:]
	value, err = aead.Open(make([]byte, 0, len(ciphertext)-gcmTagLen), nonce, ciphertext, binary.BigEndian.AppendUint64(place, uint64(at)))
	return value, at, err == nil
}

// place appends where a value is, for the cipher to authenticate. Fields and epochs have fixed lengths, so two places are
// never equal.
func place(dst []byte, key, field string, epoch []byte) []byte {
	dst = append(append(dst, key...), 0)
	dst = append(append(dst, field...), 0)
	return append(dst, epoch...)
}
