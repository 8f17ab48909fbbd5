/**
 * The outcome of an action on an instance of a workflow. `unknown`: this process holds no such instance. `not_now`: the
 * state of the instance does not allow it. `failed`: the action could not be stored.
 */
export type ActionResult = 'stored' | 'unknown' | 'not_now' | 'failed';
