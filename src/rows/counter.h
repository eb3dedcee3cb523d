/* What threads have used of the processor in user space, as the machine counts it (Linux's perf_event_open): clock
 * cycles tell how fast a loop is also where other programs use the same cores. Many virtual machines and
 * containers don't tell. Not collective. */
#ifndef TRM_ROWS_COUNTER_H
#define TRM_ROWS_COUNTER_H

typedef enum trm_counted {
    TRM_COUNTED_CYCLES,     /* of the core's clock */
    TRM_COUNTED_NANOSECONDS /* in which the threads ran */
} trm_counted;

typedef struct trm_counter trm_counter;

/* Begins to count for each of a team of so many threads, which is the team of a parallel region with as many. NULL
 * where the machine does not tell, or there is no memory. The caller owns it. */
trm_counter *trm_counter_open(int threads, trm_counted what);
/* All threads together, since it was opened; NULL: 0. */
double trm_counter_now(const trm_counter *counter);
/* Sets *counter to NULL; NULL is fine. */
void trm_counter_close(trm_counter **counter);

#endif
