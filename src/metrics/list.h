/* list.h: every metric, one row each: symbol, name, kind, labels, writer thread, help.
 * Constant. Names are a stable contract. Where a metric is counted: grep SL_METRIC_<symbol>. */
#ifndef SL_METRICS_LIST_H
#define SL_METRICS_LIST_H

/* Label sets, and the order of their values where these are fixed (slots are row-major over them). Endpoints, and the
 * reasons why a request ended, come with the configuration. */
enum { SL_REJECT_QUEUE_FULL, SL_REJECT_TOO_LONG, SL_REJECT_DRAINING, SL_REJECT_AUTH, SL_REJECT_BAD_REQUEST, SL_REJECT_COUNT };
enum { SL_ROWS_PREFILL, SL_ROWS_DECODE, SL_ROWS_RECOMPUTED, SL_ROWS_COUNT };
enum { SL_SOURCE_COMPUTED, SL_SOURCE_CACHED, SL_SOURCE_COUNT };
enum { SL_PAGES_FULL, SL_PAGES_WINDOW, SL_PAGES_COUNT };
enum { SL_PHASE_DECODE, SL_PHASE_PREFILL, SL_PHASE_MIXED, SL_PHASE_COUNT };

/* kinds: COUNTER, GAUGE, SECONDS (histogram 1 ms to 600 s), LATENCY (histogram 10 us to 10 s), TOKENS (histogram in tokens),
 *        ROWS (histogram in rows), INFO (gauge that is always 1, labels from the config)
 * labels: NONE, ENDPOINT_CODE, FINISH, REJECT, ROWS, SOURCE, PAGES, PHASE, LAYER, LAYER_EXPERT, CONFIG */
#define SL_METRIC_LIST(X)                                                                                      \
    X(REQUESTS, "sluice_requests_total", COUNTER, ENDPOINT_CODE, LOOP, "HTTP requests answered, by endpoint and status code.") \
    X(FINISHED, "sluice_requests_finished_total", COUNTER, FINISH, ENGINE, "Accepted requests that ended, by reason: cancelled_ by their client, timeout_ by the limit of the server, in the phase that follows; shutdown by the end of a drain.") \
    X(REJECTED, "sluice_requests_rejected_total", COUNTER, REJECT, ANY, "Requests refused, by reason.")        \
    X(STEP_ROWS_TOTAL, "sluice_rows_total", COUNTER, ROWS, ENGINE, "Rows computed, by kind.")                  \
    X(READY, "sluice_ready", GAUGE, NONE, LOOP, "1 while new work is welcome, as /readyz says; 0 while draining or stuck.")              \
    X(DRAINING, "sluice_draining", GAUGE, NONE, LOOP, "1 from SIGTERM or POST /drain on.")                     \
    X(RUNNING, "sluice_requests_running", GAUGE, NONE, ENGINE, "Requests that had their first step and did not end: in the batch, or put out of it for a while as KV pages ran out.")       \
    X(WAITING, "sluice_requests_waiting", GAUGE, NONE, ENGINE, "Requests in the queue: accepted, without a step yet.")                       \
    X(EXPECTED_WAIT, "sluice_expected_wait_seconds", GAUGE, NONE, ENGINE, "Time until a place in the batch is likely to be free, by how long requests that ended well held theirs; 0 while one is free.") \
    X(PROMPT_TOKENS, "sluice_prompt_tokens_total", COUNTER, SOURCE, ENGINE, "Prompt tokens, by where their keys came from.") \
    X(GENERATION_TOKENS, "sluice_generation_tokens_total", COUNTER, NONE, ENGINE, "Tokens generated.")         \
    X(TTFT, "sluice_time_to_first_token_seconds", SECONDS, NONE, ENGINE, "From the arrival of a request to its first token, reading, tokenising and queueing included; of requests that got one.")   \
    X(ITL, "sluice_inter_token_latency_seconds", SECONDS, NONE, ENGINE, "Between two tokens of a sequence; one observation for each token but the first.")   \
    X(E2E, "sluice_e2e_request_latency_seconds", SECONDS, NONE, ENGINE, "From the arrival of a request to its end; of requests that ran and were not given up: ended by stop, length, error or timeout.") \
    X(QUEUE_TIME, "sluice_request_queue_time_seconds", SECONDS, NONE, ENGINE, "From the arrival of a request to its first step, reading and tokenising included; of requests that got there.") \
    X(REQUEST_PROMPT, "sluice_request_prompt_tokens", TOKENS, NONE, ENGINE, "Prompt tokens of a request; of those in sluice_e2e_request_latency_seconds.")     \
    X(REQUEST_GENERATION, "sluice_request_generation_tokens", TOKENS, NONE, ENGINE, "Generated tokens of a request, all choices; of those in sluice_e2e_request_latency_seconds.") \
    X(STEP_SECONDS, "sluice_step_seconds", SECONDS, PHASE, ENGINE, "Duration of a step that computed rows, sampling included.")                      \
    X(STEP_ROWS, "sluice_step_rows", ROWS, NONE, ENGINE, "Rows of a step.")                                    \
    X(KV_USAGE, "sluice_kv_cache_usage_ratio", GAUGE, NONE, ENGINE, "Share of the KV pages that requests hold; of the kind of which they hold the larger share.") \
    X(KV_PAGES_USAGE, "sluice_kv_pages_usage_ratio", GAUGE, PAGES, ENGINE, "Share of the KV pages that requests hold, by kind: of layers that see all positions, or a window of the newest (0: there is none).") \
    X(CACHE_CONFIG, "sluice_cache_config_info", INFO, CONFIG, READ, "Layout of the KV cache.")                 \
    X(PREEMPTIONS, "sluice_preemptions_total", COUNTER, NONE, ENGINE, "Sequences that gave their pages back.") \
    X(PREFIX_HITS, "sluice_prefix_cache_hits_total", COUNTER, NONE, ENGINE, "Prompt tokens whose keys and values were reused, of all choices.") \
    X(PREFIX_QUERIES, "sluice_prefix_cache_queries_total", COUNTER, NONE, ENGINE, "Prompt tokens of choices that entered the batch and may reuse keys and values.") \
    X(PREFIX_PAGES, "sluice_prefix_cache_pages", GAUGE, NONE, ENGINE, "KV pages that no request holds and that are kept for later ones with the same tokens.") \
    X(PREFIX_EVICTED, "sluice_prefix_cache_evicted_pages_total", COUNTER, NONE, ENGINE, "Kept KV pages that were taken for other tokens.") \
    X(WINDOW_PAGES, "sluice_prefix_cache_window_pages", GAUGE, NONE, ENGINE, "KV pages of layers with a window that no request holds and that are kept, as those of sluice_prefix_cache_pages.") \
    X(WINDOW_EVICTED, "sluice_prefix_cache_evicted_window_pages_total", COUNTER, NONE, ENGINE, "Kept KV pages of layers with a window that were taken for other tokens.") \
    X(STATE_USAGE, "sluice_state_usage_ratio", GAUGE, NONE, ENGINE, "Share of the slots of state that requests hold; 0 where the model keeps no state.") \
    X(STATE_SAVED, "sluice_state_snapshots", GAUGE, NONE, ENGINE, "States that are saved for requests that go on after the same tokens.") \
    X(STATE_EVICTED, "sluice_state_snapshots_evicted_total", COUNTER, NONE, ENGINE, "Saved states whose slots were taken.") \
    X(EXPERT_TOKENS, "sluice_expert_tokens_total", COUNTER, LAYER_EXPERT, ENGINE, "Rows routed to the expert.") \
    X(EXPERT_GROUPS, "sluice_expert_groups_total", COUNTER, LAYER_EXPERT, ENGINE, "Steps in which the expert ran.") \
    X(EXPERT_COMPUTE, "sluice_expert_compute_seconds_total", COUNTER, LAYER_EXPERT, ENGINE, "Core time spent in the expert.") \
    X(EXPERT_GROUP_SECONDS, "sluice_expert_group_seconds_total", COUNTER, LAYER_EXPERT, ENGINE, "Latency of the expert summed over its groups.") \
    X(EXPERT_LATENCY, "sluice_expert_latency_seconds", LATENCY, LAYER, ENGINE, "Latency of a group, one observation a group.") \
    X(EXPERT_IMBALANCE, "sluice_expert_imbalance_ratio", GAUGE, LAYER, ENGINE, "Busiest expert's share over an even share, last minute.") \
    X(EXPERTS_TOUCHED, "sluice_experts_touched", GAUGE, LAYER, ENGINE, "Distinct experts in the last step.")   \
    X(MODEL_INFO, "sluice_model_info", INFO, CONFIG, READ, "The model that is served.")                        \
    X(BUILD_INFO, "sluice_build_info", INFO, CONFIG, READ, "This program.")                                    \
    X(LOG_DROPPED, "sluice_log_lines_dropped_total", COUNTER, NONE, READ, "Log lines dropped because the writer was behind.") \
    X(THROTTLED, "sluice_cpu_throttled_seconds_total", COUNTER, NONE, READ, "Time that the cgroup's quota held the process.") \
    X(PROCESS_CPU, "process_cpu_seconds_total", COUNTER, NONE, READ, "User and system CPU time.")              \
    X(PROCESS_RESIDENT, "process_resident_memory_bytes", GAUGE, NONE, READ, "Resident memory.")                \
    X(PROCESS_VIRTUAL, "process_virtual_memory_bytes", GAUGE, NONE, READ, "Virtual memory.")                   \
    X(PROCESS_FDS, "process_open_fds", GAUGE, NONE, READ, "Open file descriptors.")                            \
    X(PROCESS_MAX_FDS, "process_max_fds", GAUGE, NONE, READ, "Limit of open file descriptors.")                \
    X(PROCESS_START, "process_start_time_seconds", GAUGE, NONE, READ, "Start of the process, seconds since the epoch.") \
    X(PROCESS_MINOR_FAULTS, "process_minor_page_faults_total", COUNTER, NONE, READ, "Page faults without reading.") \
    X(PROCESS_MAJOR_FAULTS, "process_major_page_faults_total", COUNTER, NONE, READ, "Page faults that read from disk.")

#endif
