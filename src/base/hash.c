/* SipHash-1-3 (Aumasson and Bernstein) for texts; two multiplications by secret numbers for numbers. */
#include "base/hash.h"
#include "base/internal.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

static uint64_t key[4]; /* two for texts, two odd ones for numbers; written once, before main */

/* Runs while the program is loaded, so that no table has to ask whether there is a seed yet. */
__attribute__((constructor)) static void draw_key(void) {
    if (getrandom(key, sizeof key, GRND_NONBLOCK) != (ssize_t)sizeof key) {
        /* Only before the kernel has any entropy: 16 bytes that it gave this process then. */
        memcpy(key, (const void *)getauxval(AT_RANDOM), 16);
        memcpy(key + 2, key, 16);
    }
    key[2] |= 1;
    key[3] |= 1;
}

static uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

static void round_of(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

uint64_t sl__siphash(const void *data, size_t len, uint64_t key0, uint64_t key1) {
    const uint8_t *p = data;
    uint64_t v[4] = {key0 ^ 0x736F6D6570736575u, key1 ^ 0x646F72616E646F6Du, key0 ^ 0x6C7967656E657261u, key1 ^ 0x7465646279746573u};
    uint64_t word, last = (uint64_t)len << 56; /* the last word holds the rest of the text and the length's lowest byte */
    size_t left = len;
    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        v[3] ^= word;
        round_of(v);
        v[0] ^= word;
    }
    for (size_t i = 0; i < left; i++) last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    round_of(v);
    v[0] ^= last;
    v[2] ^= 0xFF;
    for (int i = 0; i < 3; i++) round_of(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t sl_hash_bytes(const void *data, size_t len) { return sl__siphash(data, len, key[0], key[1]); }

static uint64_t fold(uint64_t a, uint64_t b) {
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t sl_hash_number(uint64_t x) { return fold(fold(x ^ key[0], key[2]) ^ key[1], key[3]); }
