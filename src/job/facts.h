/* What is known of a job, as JSON: the one form in which it is told. */
#ifndef TRM_JOB_FACTS_H
#define TRM_JOB_FACTS_H

#include "base/json.h"
#include "loss/survey.h"
#include "trimine/trimine.h"

/* Parts of it (new references). None is collective. */
json_t *trm_anchors_json(const trm_mine_summary *summary);
json_t *trm_triplets_json(int64_t total, int64_t semihard, int64_t fallback, int64_t skipped);
json_t *trm_loss_json(const char *name, const trm_loss_summary *loss, trm_reduction reduction);
json_t *trm_survey_json(const trm_survey *survey); /* several keys */
json_t *trm_gradient_json(const trm_loss_summary *loss);
json_t *trm_certify_json(const trm_mine_summary *summary, const char *kernel);
/* What a run could choose from: how many pairs of rows each compared, and what a pair took when it was last tried. */
json_t *trm_chains_json(const trm_chain_use *chains);
json_t *trm_cores_json(const trm_run *run);

#endif
