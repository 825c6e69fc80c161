#include "api/endpoints.h"

#include "api/handlers.h"

#include <string.h>

#define X(method, path, flags, handler, logs) {method, path, flags, handler},
static const sl_http_endpoint endpoints[] = {SL__ENDPOINTS(X)};
#undef X

#define X(method, path, flags, handler, logs) logs,
static const bool logs[] = {SL__ENDPOINTS(X)};
#undef X

enum { COUNT = sizeof endpoints / sizeof *endpoints };

const sl_http_endpoint *sl_api_endpoints(int *ret_count) {
    *ret_count = COUNT;
    return endpoints;
}

bool sl_api_generates(const char *path) {
    for (int i = 0; i < COUNT; i++)
        if (logs[i] && !strcmp(endpoints[i].path, path)) return true;
    return false;
}
