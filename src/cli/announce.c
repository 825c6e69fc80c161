/* announce.c: what the server says when it starts: what was found, what was chosen, and the option that overrides it. */
#include "cli/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/address.h"

#include <string.h>

static void log_lines(sl_buffer *out) {
    for (char *line = (char *)(uintptr_t)sl_buffer_text(out), *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = 0;
        sl_log(SL_LOG_INFO, "%s", line);
    }
    sl_buffer_done(out);
}

/* "http://[::1]:8080" */
static void put_address(const sl__server *v, sl_buffer *out) {
    sl_buffer_puts(out, "http://");
    sl_address_put(out, sl_http_host(v->http), sl_http_port(v->http));
}

/* The sockets are open, the model is not. */
void sl__announce_listening(const sl__server *v) {
    sl_buffer out = {0};
    sl_buffer_puts(&out, "listen   ");
    put_address(v, &out);
    if (sl_http_admin_host(v->http)) sl_buffer_printf(&out, " admin port %d", sl_http_admin_port(v->http));
    if (v->sockets.main) sl_buffer_puts(&out, " (a socket of the service manager: --host and --port are not used)");
    sl_buffer_printf(&out, " loading %s%s\n", v->s->default_model ? "the default model, " : "", v->s->model);
    log_lines(&out);
}

void sl__announce_ready(const sl__server *v) {
    const sl_settings *s = v->s;
    const char *admin = sl_http_admin_host(v->http);
    sl_buffer out = {0};
    sl_plan_print(s, v->loaded.model, &v->plan, &out);
    sl_buffer_printf(&out, "batch    %d sequences (--max-sequences), %d requests may wait (--queue), %d ms between tokens "
                           "(--token-gap-ms)\n",
                     s->engine.max_sequences, s->engine.queue, s->engine.token_gap_ms);
    sl_buffer_printf(&out, "template %s (--chat-template)\n", v->chat.template ? v->chat.said : "none that can be used: chat is refused");
    int connections = sl_http_connections(v->http);
    sl_buffer_printf(&out, "clients  %d connections (--connections%s)\n", connections,
                     connections < s->http.connections ? " asked for more than the limit of open files leaves: ulimit -n" : "");
    sl_buffer_printf(&out, "auth     %s\n", s->http.api_key_file ? "keys from the file (--api-key-file)" :
                     s->http.no_auth ? "none (--no-auth)" : "none: loopback only (--host, --api-key-file)");
    if (admin)
        sl_buffer_printf(&out, "admin    %s:%d, %s\n", admin, sl_http_admin_port(v->http),
                         s->http.admin_key_file ? "keys from the file (--admin-key-file)"
                                                : "whoever reaches it may read metrics and routing, and drain (--admin-key-file)");
    sl__confine_say(v, &out);
    sl_buffer_puts(&out, "ready    ");
    put_address(v, &out);
    sl_buffer_printf(&out, " after %.2f s: %s/v1/completions /v1/models /tokenize /livez /readyz",
                     (double)(sl_clock_ns() - v->started) / 1e9, v->chat.template ? "/v1/chat/completions " : "");
    if (admin) sl_buffer_printf(&out, "; admin port %d: /metrics /metrics/experts /drain", sl_http_admin_port(v->http));
    else sl_buffer_puts(&out, " /metrics /metrics/experts");
    log_lines(&out);
}
