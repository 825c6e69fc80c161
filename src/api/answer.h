/* answer.h: what the engine gave is collected choice by choice, and written by the endpoint's writer: whole, or in events.
 * Loop thread.
 *
 * A writer says how its clients are told: a choice's part of an event, of the whole answer, usage, errors, the end. What it
 * collects lies in the choices' buffers, whose meaning is the writer's, so that all answers' memory is counted in one place. */
#ifndef SL_API_ANSWER_H
#define SL_API_ANSWER_H

#include "api/ask.h"

#define SL__BUFFERS 6

/* What is collected of one choice: all of it for a plain answer, one event's worth for a streamed one. */
typedef struct sl__choice {
    sl_buffer buffer[SL__BUFFERS];
    bool shown; /* an event of this choice was written, the echoed prompt with it */
    bool ended;
    int finish, stop;
    int32_t stop_token;
} sl__choice;

/* A place in a whole answer's JSON. */
typedef struct sl__writing {
    bool begun;
    int choice, part; /* of the choice: the writer's */
    size_t at;        /* in the part */
} sl__writing;

typedef struct sl__answer sl__answer;

typedef struct sl__writer {
    const char *prefix;  /* of answers' ids: "cmpl-" */
    const char *name;    /* of the log line */
    size_t choice_size;  /* bytes of sl__answer.own for a choice, zero at first */
    void (*collect)(sl__answer *a, const sl_event *ev); /* adds an event to its choice; finishes are added already */
    /* The whole answer, when every choice has ended: appends some 16 KiB; false: that was all. What was written is freed. */
    bool (*whole)(sl__answer *a, sl_buffer *out);
    /* In a stream: what was collected of a choice as one event, cleared after; usage; an error; what ends every stream. */
    void (*chunk)(sl__answer *a, int choice, sl_buffer *out);
    void (*usage)(sl__answer *a, sl_buffer *out);
    void (*error)(int status, const char *message, sl_buffer *out);
    void (*end)(sl_buffer *out);
} sl__writer;

struct sl__answer {
    const sl__ask *ask;
    const sl__writer *writer;
    const char *id;
    int64_t created;    /* seconds since the epoch */
    int choices;
    sl__choice *choice; /* [choices], in the ask's arena */
    void *own;          /* [choices][writer->choice_size], likewise */
    int ended, broken;  /* choices that ended, and of them those by an error */
    int64_t generated, cached; /* tokens */
    sl__writing writing; /* where a whole answer that is sent piece by piece stands */
    sl_buffer piece, key; /* scratch */
};

sl_status sl__answer_begin(sl__answer *a, const sl__ask *q, const sl__writer *w, const char *id, sl_error *e);
void sl__answer_free(sl__answer *a);

void sl__answer_collect(sl__answer *a, const sl_event *ev); /* adds the event to its choice */
size_t sl__answer_bytes(const sl__choice *ch);              /* memory that is collected */
bool sl__answer_failed(const sl__answer *a);                /* memory ran out while collecting */
size_t sl__answer_size(const sl__answer *a);                /* bytes of the whole answer, roughly */

/* For writers whose whole answer and events are a list of choices, each an object of parts: a slice of a part of a choice
 * (false: the part is complete), and what stands before the list. chunk: in an event. first: the choice has not been shown. */
typedef struct sl__layout {
    int parts;
    bool (*part)(const sl__answer *a, int choice, int part, bool chunk, bool first, size_t *at, sl_buffer *out);
    const char *object, *chunk_object; /* the answer's "object" */
} sl__layout;
bool sl__layout_whole(const sl__layout *l, sl__answer *a, sl_buffer *out);
void sl__layout_chunk(const sl__layout *l, sl__answer *a, int choice, sl_buffer *out);
void sl__layout_usage(const sl__layout *l, sl__answer *a, sl_buffer *out);
/* An event of a stream up to its list of choices, and from there on. */
void sl__layout_open(const sl__layout *l, const sl__answer *a, sl_buffer *out);
void sl__layout_close(const sl__answer *a, bool usage, sl_buffer *out);

/* What all of OpenAI's streams have. */
void sl__event_error(int status, const char *message, sl_buffer *out);
void sl__event_end(sl_buffer *out);
void sl__put_finish(const sl__answer *a, const sl__choice *ch, sl_buffer *out); /* ,"finish_reason":…,"stop_reason":… */
/* A token's text as a JSON string, or "token_id:N" when that was asked for. */
void sl__put_token(sl__answer *a, int32_t token, sl_buffer *out);

#endif
