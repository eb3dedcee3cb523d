/* What mine and loss have in common: a store on its way into memory, what was found, and the report. */
#ifndef TRM_CLI_WORK_H
#define TRM_CLI_WORK_H

#include "cli/checkpoint.h"
#include "mine/gaps.h"
#include "store/batch_file.h"
#include "store/labels.h"
#include "store/result.h"

typedef struct trm_work {
    trm_cli *cli;
    MPI_Comm comm;
    int rank, ranks;
    trm_run *run;
    trm_rows *rows;
    trm_progress progress;
    trm_job_checkpoint checkpoint;
    trm_evaluate_options options;
    trm_batch batch;     /* embeddings, labels and norms are this object's own; embeddings may be NULL */
    float *gradient;     /* of this rank's rows, or NULL */
    trm_batches batches; /* options.batches is NULL or this one */
    int64_t batch_count, batch_rows; /* of all ranks */
    trm_claim *list_claim;           /* of the list of drawn batches, or NULL */
    trm_triplets_origin list_origin; /* what the list that was read says */
    trm_mine_summary mined;
    trm_loss_summary loss;
    trm_loss_part part;
    trm_survey survey; /* of triplets that are mined */
    bool keeps;        /* it keeps what quartiles need: nobody else does, and there is room */
    trm_gaps gaps;     /* where nearly no pair found a negative inside the margin; else none sampled */
    const char *loss_name;
    trm_claim *claim;          /* of the output, or NULL */
    trm_store *store;          /* until its rows are here */
    trm_labels labels;         /* what they stand for, once they are read */
    int64_t store_rows, first; /* first: row id of this rank's first row */
    char fingerprint[33];
    double start, read_s, write_s, total_s;
} trm_work;

/* Claims what the job writes, and starts a run by the options. Collective. */
trm_status trm_work_begin(trm_cli *cli, trm_work *work, trm_error *err) TRM_MUST_CHECK;
/* Opens the store and reads its labels. Collective. */
trm_status trm_work_open(trm_work *work, trm_error *err) TRM_MUST_CHECK;
/* The labels that --ignore-label means, new memory; warns of those that no row has. Collective. Errors:
 * USAGE, MEMORY. */
trm_status trm_work_ignored(trm_work *work, int64_t *count, int64_t **label, trm_error *err) TRM_MUST_CHECK;
/* Warns of a class that holds nearly everything. Collective. */
void trm_work_check_classes(const trm_work *work);
/* Plans the memory, and says so; refuses what can't fit. Of a job in batches these are drawn or read here.
 * file: triplets will go to one. Collective. */
trm_status trm_work_plan(trm_work *work, bool file, trm_error *err) TRM_MUST_CHECK;
/* Reads the rows and arranges them, and makes room for the gradient. Collective. */
trm_status trm_work_load(trm_work *work, trm_error *err) TRM_MUST_CHECK;
/* An error of an item ("triplet ", "batch ") of an input file says which file it is in. */
trm_status trm_work_name_file(const char *kind, const char *item, const char *path, trm_status status,
                              trm_error *err);
/* Evaluates the loss of the options, and the statistics of the triplets; taker: gets them, may be all zero.
 * Collective. */
trm_status trm_work_evaluate(trm_work *work, trm_survey_taker taker, trm_error *err) TRM_MUST_CHECK;
/* What the plan leaves when the work is done: all but the rows and the gradient. Not collective. */
int64_t trm_work_spare_bytes(const trm_work *work);
/* The gradient and the histograms as output arrays; how many there are. */
enum { TRM_WORK_ARRAYS = 1 + 2 * TRM_SERIES };
int trm_work_arrays(const trm_work *work, trm_output_array *array);
/* The names that labels stand for; NULL where they are numbers. */
const trm_names *trm_work_names(const trm_work *work);

/* ---- batches.c ---- */

/* Claims the file that drawn batches go to. Collective. */
trm_status trm_work_claim_list(trm_work *work, trm_error *err) TRM_MUST_CHECK;
/* Draws or reads the batches, once the rows are laid out. Collective. */
trm_status trm_work_find_batches(trm_work *work, trm_error *err) TRM_MUST_CHECK;
/* Once the rows are read: writes the list of drawn batches where that was asked for, or compares the fingerprint
 * of the one that was read. Collective. */
trm_status trm_work_settle_batches(trm_work *work, trm_error *err) TRM_MUST_CHECK;
/* Of the report (new reference), and for people. */
json_t *trm_work_batches_json(const trm_work *work);
void trm_work_print_batches(const trm_work *work);

/* Prints the report. Collective. */
trm_status trm_work_report(trm_work *work, trm_error *err) TRM_MUST_CHECK;
void trm_work_end(trm_work *work);

#endif
