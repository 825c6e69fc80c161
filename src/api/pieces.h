/* pieces.h: JSON that is written in slices of SL_SLICE bytes or so, so that neither a long text nor many numbers hold the loop,
 * and small parts that several answers have.
 * Loop thread; pure. */
#ifndef SL_API_PIECES_H
#define SL_API_PIECES_H

#include "base/buffer.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_SLICE 16384 /* bytes of an answer that are written at once, more or less */

/* The next slice of something, from *at on; false: that was the last. */
bool sl__slice_text(const char *text, size_t len, size_t *at, sl_buffer *out); /* of a text inside a JSON string */
bool sl__slice_array(const char *before, const sl_buffer *inside, size_t *at, sl_buffer *out); /* before, "[", inside, "]" */
bool sl__slice_ids(const char *before, const sl_ids *ids, size_t *at, sl_buffer *out);         /* an array of numbers */

void sl__comma(sl_buffer *b); /* unless it is empty: before the next element of an array */

/* A token's bytes as a JSON string. What is no UTF-8 is spelled as OpenAI's completions spell it, bytes:\xf0\x9f, so that two
 * byte tokens never look the same. */
void sl__put_piece_name(const sl_buffer *piece, sl_buffer *out);
void sl__put_byte_array(const sl_buffer *piece, sl_buffer *out); /* [208,159] */

void sl__put_usage(int64_t prompt, int64_t generated, int64_t cached, sl_buffer *out); /* ,"usage":{…} */

#endif
