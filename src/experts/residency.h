/* residency.h: how much of the experts' weights is in memory: the page cache, as the kernel sees it.
 * Any thread; asks the kernel on each call (one call for 16 MB of weights or less): not for the hot path. */
#ifndef SL_EXPERTS_RESIDENCY_H
#define SL_EXPERTS_RESIDENCY_H

#include "model/model.h"

#include <stdint.h>

typedef struct sl_residency {
    uint64_t resident, total; /* bytes */
} sl_residency;

/* Of the routed experts of a layer; zeros in a dense one. */
sl_residency sl_residency_layer(const sl_model *m, int layer);

#endif
