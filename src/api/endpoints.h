/* endpoints.h: the table of endpoints, from handlers.h.
 * Constant; any thread. */
#ifndef SL_API_ENDPOINTS_H
#define SL_API_ENDPOINTS_H

#include "http/http.h"

#include <stdbool.h>

/* For http's and the metrics' configuration; handlers take the sl_api as their argument. */
const sl_http_endpoint *sl_api_endpoints(int *ret_count);

bool sl_api_generates(const char *path); /* does it make text? Such a request writes a line of its own when it is over */

#endif
