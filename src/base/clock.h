/* clock.h: time.
 * Any thread. */
#ifndef SL_BASE_CLOCK_H
#define SL_BASE_CLOCK_H

#include <stdint.h>

#define SL_SECOND UINT64_C(1000000000)

uint64_t sl_clock_ns(void);  /* monotonic, nanoseconds; vDSO, about 20 ns a call */
int64_t sl_clock_unix(void); /* wall clock, seconds */

#endif
