variable "cluster_name" {
  description = "Told apart in the subject of the intermediate."
  type        = string
}

variable "oidc_provider_arn" {
  description = "The IAM OIDC provider of the cluster: module.eks.oidc_provider_arn."
  type        = string
}

variable "organization" {
  description = "In the subjects of the private CAs."
  type        = string
  default     = "Example"
}
