/* unicode.h: the tables behind unicode.c.
 * Constant, any thread. */
#ifndef SL_TEMPLATE_UNICODE_H
#define SL_TEMPLATE_UNICODE_H

#include <stddef.h>
#include <stdint.h>

typedef struct sl__span {
    uint32_t first, last;
} sl__span;

/* Every step-th code point from first to last moves by so many. */
typedef struct sl__shift {
    uint32_t first, last;
    int32_t by;
    uint32_t step;
} sl__shift;

/* A code point that becomes several; sorted by point, then by how. */
typedef struct sl__special {
    uint32_t point;
    uint8_t how; /* sl__case */
    uint32_t as[3];
} sl__special;

/* By sl__class. */
extern const sl__span *const sl__class_spans[];
extern const size_t sl__class_counts[];
/* By sl__case: UPPER, LOWER, TITLE, and FOLD at its place. */
extern const sl__shift *const sl__case_shifts[];
extern const size_t sl__case_counts[];
extern const sl__special sl__specials[];
extern const size_t sl__special_count;

#endif
