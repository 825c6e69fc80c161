/* address.h: "HOST:PORT" as an option gives it, and where a server that listens there is asked from the same machine.
 * Any thread. */
#ifndef SL_CLI_ADDRESS_H
#define SL_CLI_ADDRESS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

typedef struct sl_address {
    const char *host; /* without brackets: "127.0.0.1", "::1", "localhost" */
    int port;         /* 0 … 65535 */
} sl_address;

/* "127.0.0.1:9090", "[::1]:9090", "localhost:0". `option` is named in the error (SL_MISUSE): "admin". The host is the arena's. */
sl_status sl_address_split(const char *text, const char *option, sl_arena *arena, sl_address *ret, sl_error *e);

/* Where to ask a server that was told to listen on `host`: "0.0.0.0" is every address of the machine, so "127.0.0.1"; "::" and
 * "" likewise; any other host is returned as it is. */
const char *sl_address_ask(const char *host);

/* "127.0.0.1:9090", "[::1]:9090": as in a URL. */
void sl_address_put(sl_buffer *out, const char *host, int port);

#endif
