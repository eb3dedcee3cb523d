/* A job's inside; see trimine/job.h for its steps. */
#ifndef TRM_JOB_INNER_H
#define TRM_JOB_INNER_H

#include "job/checkpoint.h"
#include "job/clusters.h"
#include "job/settings.h"
#include "job/voice.h"
#include "loss/evaluation.h"
#include "mine/gaps.h"
#include "store/batch_file.h"
#include "store/labels.h"
#include "store/loss_files.h"
#include "store/pair_file.h"
#include "store/result.h"
#include "store/rows_file.h"
#include "store/stream.h"

typedef struct trm_packed_job trm_packed_job;
typedef struct trm_foresight trm_foresight;

/* The last step that went well. */
typedef enum trm_job_state {
    TRM_JOB_NEW,
    TRM_JOB_CHECKED,
    TRM_JOB_OPEN,
    TRM_JOB_PLANNED,
    TRM_JOB_RUN,
    TRM_JOB_WRITTEN,
    TRM_JOB_TOLD,
    TRM_JOB_DONE,
    TRM_JOB_FAILED /* one did not */
} trm_job_state;

/* A set of rows: the store's, or the queries', whose rows follow the store's in its files. */
typedef struct trm_job_rows {
    int64_t before, total; /* rows of the files before it, its own */
    int64_t first;         /* row id of this rank's first row */
    trm_rows *rows;        /* NULL: there is no such set */
    trm_batch batch;       /* embeddings, labels and norms are this object's own; embeddings may be NULL */
    char fingerprint[33];
} trm_job_rows;

struct trm_job {
    trm_job_state state;
    /* as it is told, before it is checked */
    trm_setting *given;
    int given_count;
    trm_settings settings;
    /* since it was opened */
    trm_job_hooks hooks;
    trm_voice voice;
    MPI_Comm comm; /* its own; MPI_COMM_NULL before */
    int rank, ranks;
    int64_t baseline_rss; /* bytes in use at the beginning */
    double start, read_s, write_s, total_s;
    trm_claim *claim;       /* of the output, or NULL */
    const char *loss_name;  /* borrowed for ever */
    trm_packed_form form;   /* of the input */
    trm_packed_job *packed; /* the whole of a job on packed triplets; NULL: it is one over a store */
    /* over a store */
    trm_run *run;
    trm_store *store;  /* until its rows are here */
    trm_labels labels; /* what they stand for, once they are read */
    trm_job_rows base, queries;
    trm_pairs pairs;         /* of queries, or empty */
    trm_pair_list pair_list; /* the same, for the library */
    trm_job_checkpoint checkpoint;
    trm_evaluate_options options;
    trm_evaluation *evaluation;         /* with the plan that was taken */
    float *gradient, *queries_gradient; /* of this rank's rows and queries, or NULL */
    trm_batches batches;                /* options.batches is NULL or this one */
    int64_t batch_count, batch_rows;    /* of all ranks */
    trm_claim *list_claim;              /* of the list of drawn batches, or NULL */
    trm_triplets_origin list_origin;    /* what the list that was read says */
    trm_triplets_origin given_origin;   /* what the list of triplets says */
    trm_triplet_file *file;             /* that triplets go to, or NULL */
    trm_batch_triplets batch_triplets;  /* the same, of triplets in batches */
    trm_mine_summary mined;
    trm_loss_summary loss;
    trm_loss_part part;
    trm_survey survey; /* of triplets that are listed */
    bool keeps;        /* it keeps what quartiles need: nobody else does, and there is room */
    /* a question */
    void *asked; /* what its kind has; owned by that (trm_job_question.end); or NULL */
    trm_ask_summary ask;
    /* of radius: pairs that it has counted; before that, in a plan, those that are expected, once samples were asked */
    bool pairs_known;
    int64_t pairs_within;
    trm_gaps gaps; /* where nearly no pair found a negative inside the margin; else none sampled */
    /* a plan */
    trm_foresight *foresight; /* what is planned, or NULL; owned */
    trm_clusters clusters;    /* of data that are not there yet */
    char *told;               /* the JSON, on rank 0; of jansson */
    trm_stream *report;       /* that it goes to, too, on rank 0; or NULL */
};

/* All are collective but those that only ask what a job is: trm_job_writes_triplets, trm_job_has_triplets, trm_job_is_set,
 * trm_job_name_of_loss, trm_job_names, trm_job_inputs and trm_job_write_report. */

/* ---- told.c ---- */

/* Were all ranks told the same, in the same order? Not so how each is to run (trm_run_table): what must be equal of
 * that is looked at with the run. local: what this rank found itself, which comes first. Errors: USAGE, and local;
 * agreed. */
trm_status trm_job_compare_told(const trm_job *job, trm_status local, trm_error *err) TRM_MUST_CHECK;

/* ---- report.c: --json-report ---- */

/* Begins the file that the report goes to, where one is asked for: before any work, so that a path that can't be written is
 * refused at once. A job that only plans looks at it. Errors: as trm_stream_open; USAGE. */
trm_status trm_job_open_report(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* Writes the report, which has been made, there. Rank 0 alone; not collective. Errors: IO, CREATE. */
trm_status trm_job_write_report(trm_job *job, trm_error *err) TRM_MUST_CHECK;

/* ---- store.c: a job over a store ---- */

/* Claims what the job writes, starts a run by the options, opens the store and reads its labels. */
trm_status trm_job_open_store(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* Plans the memory, and says so; refuses what can't fit. Of a job in batches these are drawn or read here. */
trm_status trm_job_plan_store(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* The same for a run that stands for all ranks, of a job that one process has opened (plan.c): with so many ranks a team, or 0
 * for a choice. What was found is in job->mined, also where it does not fit. Errors: MEMORY. */
trm_status trm_job_plan_for_all(trm_job *job, trm_run *run, int replicate, trm_error *err) TRM_MUST_CHECK;
/* The positive pairs that are selected of this rank's rows, as their labels tell. */
double trm_job_own_pairs(const trm_job *job);
enum { TRM_JOB_BYTES_A_TRIPLET = 41 /* of a result file, beside what it has of each row */ };
/* How the job has rows read. */
trm_read_options trm_job_read_options(const trm_job *job);
/* Reads the rows of the store and arranges them, as planned last. */
trm_status trm_job_read_rows(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* Reads the rows and arranges them, and evaluates. */
trm_status trm_job_run_store(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* Of a job in batches, or of pairs: mines the first of each rank's batches, or for the first queries of each team's, at most so many, as
 * planned, or asks for these, and writes nothing. The first time the rows are read. What it took is in job->mined and job->loss, and *seconds, of the
 * slowest rank. May be called again. */
trm_status trm_job_try(trm_job *job, int64_t most, double *seconds, trm_error *err) TRM_MUST_CHECK;
/* How many batches, or queries, of all ranks that are. */
int64_t trm_job_tries(const trm_job *job, int64_t most);
/* After such a try: what a rank is expected to hold, with that kernel and its width, and where all batches give as many triplets, of
 * those that there may be, as the first. The plan stays. */
trm_status trm_job_expect(trm_job *job, int64_t most, const trm_kernel *taken, int width, int64_t *bytes,
                          trm_error *err) TRM_MUST_CHECK;
/* Do pairs say who is positive, here or where the list of triplets was mined? Then rows are arranged by their ids. Known
 * once the list is read. */
bool trm_job_by_id(const trm_job *job);
/* Are triplets written? */
bool trm_job_writes_triplets(const trm_job *job);
/* Whether there are triplets to tell of; and mined negatives that are a set. */
bool trm_job_has_triplets(const trm_job *job);
bool trm_job_is_set(const trm_job *job);
/* What the job's loss is called in reports and result files; borrowed for ever. */
const char *trm_job_name_of_loss(const trm_settings *settings);
/* The names that labels stand for; NULL where they are numbers. */
const trm_names *trm_job_names(const trm_job *job);
/* An error of an item ("triplet ", "batch ") of an input file says which file it is in. */
trm_status trm_job_name_file(const char *kind, const char *item, const char *path, trm_status status,
                             trm_error *err);
/* The files that a job reads, which none of its outputs may be: new memory (trm_free), or NULL. Not collective. */
const char **trm_job_inputs(const trm_settings *settings, int *count);
/* Claims a path that must be none of the job's inputs; a job that only plans looks at it. Errors: as trm_claim_take. */
trm_status trm_job_claim(const trm_job *job, const char *kind, const char *path, bool overwrite,
                         trm_claim **claim, trm_error *err) TRM_MUST_CHECK;
/* Gives up all claims. Not collective. */
void trm_job_let_go(trm_job *job);
/* Of a dry run, whose claims are still there: refuses what the job could not go on from. That takes the whole store to be read, where
 * there is a checkpoint. Collective. Errors: as trm_job_checkpoint_resume, trm_store_read. */
trm_status trm_job_look_at_checkpoint(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* STOPPED on all ranks if any was asked to stop. */
trm_status trm_job_pause(const trm_job *job, trm_error *err) TRM_MUST_CHECK;

/* ---- question.c: a kind of job that asks one question of all pairs of rows ---- */

/* What such a kind has of its own; store.c, write.c and facts.c do the rest. In this order, all collective. */
struct trm_job_question {
    size_t bytes; /* of job->asked, which each plan finds cleared */
    /* Plans, for the teams that are laid out: fills in job->asked. reserve: bytes of the limit that the job itself needs. Fills in panels and memory_bytes of job->ask, also where it does not fit.
     * Errors: MEMORY, and others. */
    trm_status (*plan)(trm_job *job, int64_t reserve, trm_error *err);
    /* Of such a plan: the bytes that come with a visitor and that go home (trm_anchors_travel); how many sweeps there are, beside one
     * that seeks positives first. Not collective. */
    int (*travel)(const trm_job *job, int64_t *visit, int64_t *home);
    bool seeks_positives;
    /* Bytes that are written to the output, as far as it is known, and counts; NULL: they don't. Not collective. */
    double (*written)(const trm_job *job);
    /* Asks, and begins the output (job->claim) where there is one. Fills in job->ask. */
    trm_status (*run)(trm_job *job, trm_error *err);
    /* Finishes the output; of a job that has one. */
    trm_status (*write)(trm_job *job, trm_error *err);
    /* Rank 0: adds what was found. Not collective. */
    void (*tell)(trm_job *job, json_t **object);
    /* Frees job->asked, which may be NULL. Collective. */
    void (*end)(trm_job *job);
};
/* The rows that ask. */
const trm_job_rows *trm_job_askers(const trm_job *job);
/* Attributes that every result of a question has, in attribute, of which there is room for TRM_JOB_ATTRIBUTES; how many. format:
 * "trimine-knn"; text: of trm_settings_text; hash: the result's. */
enum { TRM_JOB_ATTRIBUTES = 16 };
int trm_job_question_attributes(const trm_job *job, const char *format, const char *text, const char *hash,
                                trm_attribute *attribute);
/* On rank 0: the facts of a question, but for the table of ranks (new reference). */
json_t *trm_job_question_facts(trm_job *job, int64_t peak_rss);
trm_status trm_job_plan_question(trm_job *job, trm_error *err) TRM_MUST_CHECK;
trm_status trm_job_run_question(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* What a question took, as mining tells it: its sweeps go as those for negatives, and what it does before and beside them as what is
 * prepared. whole: seconds of all. Not collective. */
trm_mine_summary trm_job_as_mined(const trm_ask_summary *ask, double whole);

/* ---- plan.c: a kind of job that plans another ---- */

/* The steps of such a job. */
trm_status trm_job_check_plan(const trm_settings *settings, trm_error *err) TRM_MUST_CHECK;
trm_status trm_job_plan_ranks(trm_job *job, trm_error *err) TRM_MUST_CHECK;
trm_status trm_job_run_plan(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* On rank 0 (new reference). */
json_t *trm_job_plan_facts(trm_job *job);
void trm_job_free_plan(trm_job *job);

/* ---- labels.c ---- */

/* The labels that --ignore-label means, new memory; warns of those that no row has. Errors: USAGE, MEMORY. */
trm_status trm_job_ignored(trm_job *job, int64_t *count, int64_t **label, trm_error *err) TRM_MUST_CHECK;
/* Warns of a class that holds nearly everything. */
void trm_job_check_classes(trm_job *job);

/* ---- batches.c ---- */

/* Claims the file that drawn batches go to. */
trm_status trm_job_claim_list(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* Draws or reads the batches, once the rows are laid out. */
trm_status trm_job_find_batches(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* Once the rows are read: compares their fingerprint with that of the list that was read, and warns. */
void trm_job_compare_list(trm_job *job);
/* Writes the list of drawn batches where that was asked for. */
trm_status trm_job_write_list(const trm_job *job, trm_error *err) TRM_MUST_CHECK;

/* ---- packed.c: a job on packed triplets ---- */

/* Is the input one? Sets settings.packed, and refuses options that do not apply. Errors: those of reading it. */
trm_status trm_job_recognize(trm_job *job, trm_error *err) TRM_MUST_CHECK;
trm_status trm_job_open_packed(trm_job *job, trm_error *err) TRM_MUST_CHECK;
trm_status trm_job_run_packed(trm_job *job, trm_error *err) TRM_MUST_CHECK;
trm_status trm_job_write_packed(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* On rank 0, but for the table of ranks (new reference). */
json_t *trm_job_packed_facts(trm_job *job, int64_t peak_rss);
const trm_loss_part *trm_job_packed_part(const trm_job *job);
void trm_job_free_packed(trm_job *job);

/* ---- write.c ---- */

trm_status trm_job_write_store(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* Adds the histograms to arrays for an output; how many there are then. */
enum { TRM_JOB_HISTOGRAMS = 2 * TRM_SERIES };
int trm_job_add_histograms(const trm_job *job, int count, trm_output_array *array);
/* Adds what says which queries it is of, in two sets; how many attributes there are then. */
int trm_job_add_queries(const trm_job *job, int count, trm_attribute *attribute);
/* A gradient file, with what it says of itself; of: what the gradient is of. */
trm_status trm_job_write_gradient(trm_job *job, const trm_loss_summary *loss, int of_count,
                                  const trm_attribute *of, int arrays, const trm_output_array *array,
                                  const trm_names *names, trm_error *err) TRM_MUST_CHECK;

/* ---- facts.c ---- */

/* Over 90 % of the pairs without a negative inside the margin: the job looks where the negatives are. Not collective. */
bool trm_job_looks_at_gaps(const trm_job *job, const trm_mine_summary *mined);

/* Parts of the report that kinds share (new references): what it is of, by which means it was done, and memory; and the first
 * object's "queries" where there are any. */
json_t *trm_job_head_json(const trm_job *job, int64_t classes); /* < 0: there are no labels */
void trm_job_put_queries(const trm_job *job, json_t **object);
json_t *trm_job_means_json(const trm_job *job, int panels);
json_t *trm_job_memory_json(const trm_job *job, int64_t peak_rss, int64_t plan_bytes);
/* Makes job->told. */
trm_status trm_job_collect_facts(trm_job *job, trm_error *err) TRM_MUST_CHECK;

#endif
