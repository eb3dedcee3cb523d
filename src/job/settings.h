/* What a job is told: settings of all its options, which may be given in any order, and what follows from them
 * together. None of this is collective. */
#ifndef TRM_JOB_SETTINGS_H
#define TRM_JOB_SETTINGS_H

#include "base/error.h"
#include "loss/survey.h"
#include "options/walk.h"
#include "store/result.h"
#include "trimine/trimine.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* A kind of job: a row of trm_job_kinds. */
typedef struct trm_settings trm_settings;
typedef struct trm_job_question trm_job_question;
typedef struct trm_job_kind {
    const char *name;
    const trm_takes takes; /* in trm_settings */
    bool plans;            /* it does not do what its options say: it plans it, for any number of ranks */
    bool mines;            /* all that its options may say is mined, so --loss is not among them */
    trm_status (*check)(const trm_settings *settings,
                        trm_error *err); /* what the options alone tell; NULL: nothing */
    const trm_job_question *question;    /* it is one (inner.h); NULL: it mines, or evaluates a loss */
    bool (*needs_labels)(
        const trm_settings *settings); /* NULL: always; else it may do without where it says no */
    /* Of a question that is asked among some rows: where that is. Then --labels may say so, too: any, same or other. */
    trm_among *(*among)(trm_settings *settings);
} trm_job_kind;
extern const trm_job_kind *const trm_job_kinds[];                    /* NULL-terminated */
extern const trm_job_kind trm_job_knn, trm_job_eval, trm_job_radius; /* those with a file of their own */
/* By name, or NULL. */
const trm_job_kind *trm_job_kind_find(const char *name);

/* What a plan is of, and how fast things are; NAN: found by a probe, or a default. */
enum { TRM_PLAN_RANKS = 64 };
typedef struct trm_plan_settings {
    int64_t rows, dim, classes; /* of data that are not there yet; rows 0: a store's */
    double spread;
    int ranks_given;
    double ranks[TRM_PLAN_RANKS];
    double gflops, network, disk; /* of a rank: 1e9 operations, bytes, bytes a second */
    int64_t sample;               /* pairs of a pilot; 0: none is run */
    double active;                /* the share of them that the margin is to reach */
} trm_plan_settings;

struct trm_settings {
    const trm_job_kind *kind; /* NULL: of no job */
    int inputs;
    char **input; /* owned */
    const char *output;
    trm_form form;          /* of the output of mine */
    const char *checkpoint; /* or NULL */
    double checkpoint_minutes;
    bool resume, overwrite;
    trm_store_options store;
    trm_mine_options mine;
    trm_loss_options loss;
    trm_packed_options packed_options; /* norm_floor of it */
    trm_knn_options knn;
    trm_eval_options eval;
    trm_radius_options radius;
    trm_source source;
    bool lone, gradient, gradient_at_normalized, normalize;
    double within; /* NAN: not given */
    trm_option_texts labels, query_labels, ids,
        query_ids;            /* once, or once for each path: in store when settled */
    trm_option_texts queries; /* files whose rows are the anchors; none: one set */
    const char *pairs;        /* file of pairs, or NULL */
    const char *triplets;     /* file of index triplets, or NULL */
    int64_t batches, classes_per_batch, rows_per_class; /* 0: none are drawn */
    const char *batch_list;  /* where drawn batches go, or those to mine in are; or NULL */
    const char *compat;      /* preset, or NULL */
    const char *json_report; /* where the report goes, too, or NULL */
    /* two sets: what the queries and the pairs were, once they have been read; they decide the result */
    int64_t queries_rows, pairs_count;
    char queries_fingerprint[33], pairs_fingerprint[33];
    json_t *overridden; /* with a preset: names of the options that make it another rule; or NULL. Owned */
    bool packed;        /* loss: the input holds packed triplets */
    trm_survey_options survey;
    trm_plan_settings plan;
    bool
        plans; /* the job does nothing but plan, for any number of ranks: it is of such a kind, or a dry run's */
    bool dry_run; /* it plans itself, on its ranks */
    trm_run_options run;
    trm_option_labels ignore; /* its named is known once labels have been read */
    int64_t seed;
    unsigned char given[TRM_OPTIONS_MOST]; /* by whom each option was given, by its number in a trm_walk */
};

/* An option as it was given; both owned. */
typedef struct trm_setting {
    char *option, *value; /* value: NULL where it takes none */
} trm_setting;

/* Where nothing is given. */
void trm_settings_init(trm_settings *settings, const trm_job_kind *kind);
/* Sets what was given, after a preset among it, and checks it. settings: initialised, with its inputs. The texts of
 * given are borrowed. Errors: USAGE, MEMORY. */
trm_status trm_settings_take(trm_settings *settings, int count, const trm_setting *given,
                             trm_error *err) TRM_MUST_CHECK;
/* What follows from settings together, where no job does it: the margin's default by the metric, and the like. */
void trm_settings_settle(trm_settings *settings);
/* Frees what they own. */
void trm_settings_free(trm_settings *settings);

/* Does the kind of job take an option of that name? */
bool trm_settings_takes(const trm_settings *settings, const char *name);
/* Was an option given, by the user or a preset? */
bool trm_settings_given(const trm_settings *settings, const char *name);
/* Refuses options that do not apply to where the triplets come from (source, packed). Errors: USAGE. */
trm_status trm_settings_check_applying(const trm_settings *settings, trm_error *err) TRM_MUST_CHECK;
/* Where the triplets come from, as TRM_AT_ bit; and the names of all such bits. */
uint32_t trm_settings_source(const trm_settings *settings);
const char *const *trm_settings_source_names(void);
/* Is anything drawn by --seed? */
bool trm_settings_draw(const trm_settings *settings);
/* Are there two sets: queries, and a store? */
bool trm_settings_in_two_sets(const trm_settings *settings);
/* Is nothing to be done but planned? Then what would be written is only looked at. */
bool trm_settings_plan_only(const trm_settings *settings);
/* Is it a question that needs no labels, asked as it is? */
bool trm_settings_labels_may_lack(const trm_settings *settings);
/* Pairs go with queries. Errors: USAGE. */
trm_status trm_settings_check_pairs(const trm_settings *settings, trm_error *err) TRM_MUST_CHECK;
/* Are triplets mined inside batches? */
bool trm_settings_in_batches(const trm_settings *settings);
/* What decides a result: of all options those that do where the triplets come from, and the preset (new
 * reference). */
json_t *trm_settings_json(const trm_settings *settings);
/* The same as text, for an attribute; the caller frees it with trm_json_free. Errors: INTERNAL. */
trm_status trm_settings_text(const trm_settings *settings, char **text, trm_error *err) TRM_MUST_CHECK;

/* ---- tables.c ---- */

extern const trm_options trm_output_table, trm_form_table, trm_batches_table, trm_overwrite_table,
    trm_json_report_table, trm_checkpoint_table, trm_dataset_table, trm_normalize_table, trm_ignore_table,
    trm_source_table, trm_whole_table, trm_gradient_table, trm_compat_table, trm_queries_table,
    trm_seed_table, trm_metric_table, trm_asked_queries_table, trm_asked_pairs_table,
    trm_per_query_table; /* of a question; the metric is in mine */
extern const trm_options trm_plan_table, trm_dry_run_table;
extern const trm_options trm_run_table; /* of trm_run_options */

/* ---- presets.c ---- */

enum { TRM_PRESET_WORDS = 12 };
/* Options of a preset (--compat), as words of a command line: "--loss=mined", "--lone". */
typedef struct trm_preset {
    const char *name;
    bool mine, loss;                     /* the kinds of job that take it */
    bool packed;                         /* for packed triplets only */
    const char *words[TRM_PRESET_WORDS]; /* NULL-terminated */
} trm_preset;
/* By name, or NULL. */
const trm_preset *trm_preset_find(const char *name);
/* All names, "a b c"; borrowed for ever. */
const char *trm_preset_names(void);
/* All about them, as JSON (new reference). */
json_t *trm_preset_schema(void);

#endif
