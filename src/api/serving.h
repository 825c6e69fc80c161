/* serving.h: the life of a request that the engine answers, whatever its endpoint: the text thread, the place in the queue,
 * deadlines, pings, hang-ups. What is read and how the client is told are the endpoint's reader and writer.
 * Loop thread. While the text thread holds it, its ask belongs to that thread.
 *
 * `stage` (stage.h) says how far it is with its client, `holders` who may still touch it: http until its `over`, the text thread
 * until the job is back, the engine until its request is over, the list of answers with unread events. Nobody holds it any more:
 * it is logged and freed. */
#ifndef SL_API_SERVING_H
#define SL_API_SERVING_H

#include "api/answer.h"
#include "api/stage.h"

enum { SL__BY_HTTP = 1, SL__BY_TEXT = 2, SL__BY_ENGINE = 4, SL__BY_UNREAD = 8 };

struct sl__serving {
    sl__job job; /* first: the job is the serving */
    sl_api *api;
    sl_http_exchange *http; /* while http holds it */
    sl__serving *next, *prev, *next_unread;
    sl__stage stage;
    unsigned holders; /* SL__BY_… */
    int cut;          /* why we ended it ourselves, an sl_cancel; 0: we did not */
    int http_status;  /* 0: the client was told nothing */
    char id[160];
    uint64_t arrived, over; /* sl_clock_ns; over 0: not yet, or it was answered at once */
    uint64_t told;          /* when a stream was last told something; before: arrived */
    size_t held;            /* bytes that it counts in the api's answer_bytes */
    sl__ask ask;
    sl__answer answer;
    sl_request *request; /* NULL: the engine never had it */
};

/* What a handler does with its request. */
void sl__serving_begin(sl_api *a, sl_http_exchange *http, const sl__reader *reader, const sl__writer *writer);

void sl__servings_news(sl_api *a); /* the engine has events, or a turn of the loop left some unread */
void sl__servings_tick(sl_api *a); /* once a second */
/* While the server drains: the engine refuses requests from when the text thread has none left that was accepted before. */
void sl__servings_drain(sl_api *a);
void sl__servings_cancel(sl_api *a); /* the drain's time is over */

#endif
