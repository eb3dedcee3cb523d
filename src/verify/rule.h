/* The rules that a result was made by, as its attribute "options" has them. */
#ifndef TRM_VERIFY_RULE_H
#define TRM_VERIFY_RULE_H

#include "store/result_read.h"
#include "trimine/mine.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { TRM_RULE_WORD = 40, TRM_RULE_WHY = 160 };

typedef struct trm_rule {
    trm_metric metric;
    double margin;
    char positives[TRM_RULE_WORD], negatives[TRM_RULE_WORD]; /* words before the colon, */
    double positives_number, negatives_number;               /* and the number behind it; 0: none */
    char window[TRM_RULE_WORD], pick[TRM_RULE_WORD], fallback[TRM_RULE_WORD];
    uint64_t seed;
    int64_t rank_first, rank_last; /* 1, INT64_MAX: all */
    bool ranks_after;              /* they count what the filters left */
    double filter[TRM_FILTERS];    /* NAN: none */
    bool lone, normalize, and_labels;
    json_t *options; /* all of them; owned */
    json_t *ignore;  /* a label or a list of them; NULL: none. Borrowed from options */
    int64_t k;       /* of knn */
    double radius;   /* of radius */
    bool groups;
    char among[TRM_RULE_WORD];
    /* of a loss */
    char source[TRM_RULE_WORD], reduction[TRM_RULE_WORD], at_zero[TRM_RULE_WORD], gradient_at[TRM_RULE_WORD];
    bool soft, swap, gradient; /* gradient: it says where that is taken, so there is one */
    double loss_margin, within, norm_floor;
    char shortlist[TRM_RULE_WORD];
    int64_t batches, classes_per_batch, rows_per_class; /* of a draw of batches; 0: none */
    int64_t bins;                                       /* of histograms; 0: none */
    char pairs_fingerprint[33];                         /* of a list of pairs; empty: none */
    int64_t pairs;
    bool by_name; /* a loss of given triplets, which say who is positive, not labels */
    char unknown
        [TRM_RULE_WHY]; /* an option that is not known here, so that nothing can be decided; empty: none */
} trm_rule;

/* Reads them. The caller frees, also after a failure. Not collective. Errors: DATA: no options, or such as none. */
trm_status trm_rule_read(const trm_result *result, trm_rule *rule, trm_error *err) TRM_MUST_CHECK;
void trm_rule_free(trm_rule *rule);

/* Is a word of the rule this one? */
bool trm_rule_is(const char *word, const char *name);
/* Negatives that a pair has at most; 0: any number. */
int64_t trm_rule_most(const trm_rule *rule);
/* Inside the window, by the float64 difference? */
bool trm_rule_in_window(const trm_rule *rule, double d_ap, double d_an);

#endif
