/* limits.h: loops that do nothing but what a product cannot do without: reading memory, multiplying and adding. */
#ifndef SL_TESTS_KERNELS_LIMITS_H
#define SL_TESTS_KERNELS_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#define LIMIT_MACS (8.0 * 2048 * 4 * 20000) /* of one call of limit_multiply or limit_multiply_wide */

int limit_available(void);              /* needs AVX2 */
int limit_is_wide(const char *tier);    /* does the tier use AVX-512 VNNI? */
void limit_read(const uint8_t *p, size_t size);
void limit_multiply(void);              /* 4-bit by 8-bit, AVX2 */
void limit_multiply_wide(void);         /* the same, AVX-512 VNNI */

#endif
