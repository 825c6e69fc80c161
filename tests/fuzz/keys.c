/* A file of keys; and each of its lines, as a client may show it. */
#include "http/internal.h"

#include "base/alloc.h"
#include "scratch.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A line's key without what surrounds it is right, with a byte more or less it may be another line's or wrong. */
static void show(const sl__keys *k, char *line, size_t whole) {
    sl_buffer bearer = {0};
    sl__keys_match(k, line, line);
    bool nul = strlen(line) < whole;
    line += strspn(line, " \t");
    size_t len = strlen(line);
    while (len > 0 && strchr(" \t\r", line[len - 1])) line[--len] = 0;
    if (line[0] == '#') return;
    must(!nul); /* only comments may have one */
    if (len == 0) return;
    sl_buffer_printf(&bearer, "bearer  %s", line);
    must(sl__keys_match(k, NULL, line) && sl__keys_match(k, sl_buffer_text(&bearer), NULL));
    sl_buffer_done(&bearer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scratch file = scratch_open(data, size);
    char *text = sl_strndup((const char *)data, size), *line = text;
    sl__keys *k = NULL;
    sl_error e = {0};
    must(text != NULL);
    if (sl__keys_read(file.path, "api-key-file", &k, &e) == SL_OK) {
        must(!sl__keys_match(k, NULL, NULL) && !sl__keys_match(k, "", "") && !sl__keys_match(k, "Bearer ", " "));
        for (char *next; line < text + size; line = next) {
            char *end = memchr(line, '\n', (size_t)(text + size - line));
            next = end ? end + 1 : text + size;
            if (end) *end = 0;
            show(k, line, (size_t)((end ? end : next) - line));
        }
    } else {
        must(!k && e.message[0]);
    }
    sl__keys_free(k);
    sl_free(text);
    scratch_close(&file);
    return 0;
}
