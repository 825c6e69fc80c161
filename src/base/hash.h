/* hash.h: the hash of every table whose keys come from a file.
 * Any thread.
 *
 * The seed is drawn once a process, so that nobody can write a file whose keys collide: a table that is at most half full
 * looks at one or two slots for a key, whatever the keys are. A multiplicative hash would not do even with a seed: texts
 * of two words can be written that collide under all seeds. Results differ from run to run and must decide nothing but
 * where a key lies in a table. */
#ifndef SL_BASE_HASH_H
#define SL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t sl_hash_bytes(const void *data, size_t len);
uint64_t sl_hash_number(uint64_t x);

#endif
