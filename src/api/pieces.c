#include "api/pieces.h"

#include "base/utf8.h"

bool sl__slice_text(const char *text, size_t len, size_t *at, sl_buffer *out) {
    size_t n = len - *at;
    if (n > SL_SLICE) { /* cut between characters */
        n = SL_SLICE;
        while (n && ((unsigned char)text[*at + n] & 0xC0) == 0x80) n--;
    }
    if (n) sl_buffer_json_inside(out, text + *at, n);
    *at += n;
    return *at < len;
}

bool sl__slice_array(const char *before, const sl_buffer *inside, size_t *at, sl_buffer *out) {
    if (*at == 0) sl_buffer_printf(out, "%s[", before);
    size_t n = inside->len - *at < SL_SLICE ? inside->len - *at : SL_SLICE;
    if (n) sl_buffer_append(out, inside->data + *at, n);
    *at += n;
    if (*at < inside->len) return true;
    sl_buffer_append(out, "]", 1);
    return false;
}

bool sl__slice_ids(const char *before, const sl_ids *ids, size_t *at, sl_buffer *out) {
    if (*at == 0) sl_buffer_printf(out, "%s[", before);
    for (size_t end = *at + SL_SLICE / 8; *at < ids->count && *at < end; ++*at) {
        if (*at) sl_buffer_append(out, ",", 1);
        sl_buffer_int(out, ids->id[*at]);
    }
    if (*at < ids->count) return true;
    sl_buffer_append(out, "]", 1);
    return false;
}

void sl__comma(sl_buffer *b) {
    if (b->len) sl_buffer_append(b, ",", 1);
}

void sl__put_piece_name(const sl_buffer *piece, sl_buffer *out) {
    if (sl_utf8_valid(piece->data, piece->len)) {
        sl_buffer_json(out, piece->data ? piece->data : "", piece->len);
        return;
    }
    sl_buffer_puts(out, "\"bytes:");
    for (size_t i = 0; i < piece->len; i++) {
        unsigned char byte = (unsigned char)piece->data[i];
        if (byte == '\\') sl_buffer_puts(out, "\\\\\\\\"); /* two backslashes, each escaped for JSON */
        else if (byte == '"') sl_buffer_puts(out, "\\\"");
        else if (byte >= 0x20 && byte < 0x7F) sl_buffer_append(out, piece->data + i, 1);
        else sl_buffer_printf(out, "\\\\x%02x", byte);
    }
    sl_buffer_append(out, "\"", 1);
}

void sl__put_byte_array(const sl_buffer *piece, sl_buffer *out) {
    sl_buffer_append(out, "[", 1);
    for (size_t i = 0; i < piece->len; i++) {
        if (i) sl_buffer_append(out, ",", 1);
        sl_buffer_int(out, (unsigned char)piece->data[i]);
    }
    sl_buffer_append(out, "]", 1);
}

void sl__put_usage(int64_t prompt, int64_t generated, int64_t cached, sl_buffer *out) {
    sl_buffer_printf(out,
                     ",\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,"
                     "\"prompt_tokens_details\":{\"cached_tokens\":%lld}}",
                     (long long)prompt, (long long)generated, (long long)(prompt + generated), (long long)cached);
}
