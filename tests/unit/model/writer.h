/* writer.h: makes the bytes of small model files, well-formed or not. */
#ifndef TESTS_UNIT_MODEL_WRITER_H
#define TESTS_UNIT_MODEL_WRITER_H

#include "base/buffer.h"
#include "model/model.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inline void put_u32(sl_buffer *b, uint32_t x) { sl_buffer_append(b, &x, sizeof x); }
static inline void put_u64(sl_buffer *b, uint64_t x) { sl_buffer_append(b, &x, sizeof x); }
static inline void put_f32(sl_buffer *b, float x) { sl_buffer_append(b, &x, sizeof x); }
static inline void put_text(sl_buffer *b, const char *s) {
    put_u64(b, strlen(s));
    sl_buffer_puts(b, s);
}
static inline void put_kv_u32(sl_buffer *b, const char *key, uint32_t x) { put_text(b, key), put_u32(b, 4), put_u32(b, x); }
static inline void put_kv_f32(sl_buffer *b, const char *key, float x) { put_text(b, key), put_u32(b, 6), put_f32(b, x); }
static inline void put_kv_text(sl_buffer *b, const char *key, const char *x) { put_text(b, key), put_u32(b, 8), put_text(b, x); }

/* Opens bytes as a file; the model, or NULL with *e filled. */
static inline sl_model *open_bytes(const void *data, size_t size, sl_error *e) {
    char path[64];
    sl_model *m = NULL;
    int fd = memfd_create("model", MFD_CLOEXEC);
    ck_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memset(e, 0, sizeof *e);
    sl_status s = sl_model_open(path, &m, e);
    close(fd);
    ck_assert_int_eq(s, m ? SL_OK : e->code);
    ck_assert(m || *e->message);
    return m;
}

/* Reads a whole file of tests/. */
static inline size_t read_test_file(const char *name, char *buf, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", getenv("SLUICE_TESTS"), name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    size_t n = fread(buf, 1, size, f);
    fclose(f);
    return n;
}

#endif
