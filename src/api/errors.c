#include "api/errors.h"

#include <string.h>

static const struct {
    int status;
    const char *type;
} types[] = {
    {401, "authentication_error"}, {403, "permission_error"}, {404, "not_found_error"},
    {429, "rate_limit_error"},     {503, "overloaded_error"},
};

static const char *type_of(int status) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].status == status) return types[i].type;
    }
    return status >= 500 ? "server_error" : "invalid_request_error";
}

static void put(sl_buffer *out, const char *name, const char *text) {
    sl_buffer_puts(out, name);
    if (text) sl_buffer_json(out, text, strlen(text));
    else sl_buffer_puts(out, "null");
}

void sl_api_error_json(sl_buffer *out, int status, const char *param, const char *code, const char *message) {
    put(out, "{\"error\":{\"message\":", message);
    put(out, ",\"type\":", type_of(status));
    put(out, ",\"param\":", param && *param ? param : NULL);
    put(out, ",\"code\":", code && *code ? code : NULL);
    sl_buffer_puts(out, "}}");
}
