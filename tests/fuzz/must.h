/* must.h: what has to hold whatever the input is; a check in release builds too. */
#ifndef FUZZ_MUST_H
#define FUZZ_MUST_H

#include <stdlib.h>

static inline void must(int condition) {
    if (!condition) abort();
}

#endif
